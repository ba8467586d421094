# shellcheck shell=sh disable=SC2154,SC3013 # activate.sh sets them; all shells have -ef, and POSIX has it since 2024
# Finds out whether this image can run what the platform of the generation says: the machine, and the version of glibc.
_mb_functions="$_mb_functions _mb_check_platform _mb_take_glibc"
_mb_variables="$_mb_variables _mb_glibc _mb_loader _mb_machine _mb_need"

_mb_check_platform() {
    [ "$_mb_fit" != off ] || return 0
    _mb_machine=${_mb_platform%%-*}
    case ${_mb_machine:=x86_64} in
    x86_64) _mb_loader=/lib64/ld-linux-x86-64.so.2 ;;
    aarch64) _mb_loader=/lib/ld-linux-aarch64.so.1 ;;
    *) return 0 ;;
    esac
    if [ ! -e "$_mb_loader" ]; then
        _mb_do refusal/fit _mb_refuse_machine
        return
    fi
    case $_mb_platform in *-manylinux_[0-9]*_[0-9]*) ;; *) return 0 ;; esac
    _mb_need=${_mb_platform##*-manylinux_}
    _mb_need=${_mb_need%%_*}.${_mb_need#*_}
    _mb_take_glibc
    if [ -n "$_mb_glibc" ] && _mb_do activation/versions _mb_is_newer "$_mb_need" "$_mb_glibc"; then
        _mb_do refusal/fit _mb_refuse_glibc
    fi
}

_mb_take_glibc() { # sets _mb_glibc to the version of a glibc before 2.34, which has it in a file name; empty for a newer one
    _mb_glibc=
    for _mb_item in "/lib/$_mb_machine-linux-gnu"/libc-2.*.so /lib64/libc-2.*.so; do
        if [ "$_mb_item" -ef "${_mb_item%/*}/libc.so.6" ]; then
            _mb_glibc=${_mb_item##*/libc-}
            _mb_glibc=${_mb_glibc%.so}
            return
        fi
    done
}
