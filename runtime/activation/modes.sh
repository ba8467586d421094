# shellcheck shell=sh disable=SC2154,SC3028,SC3041,SC3044 # bash has them, and only bash is asked for them
# The modes of bash and zsh: sets aside what changes the meaning of the other files, and refuses variables that cannot be set.
_mb_functions="$_mb_functions _mb_enter_modes _mb_leave_modes"
_mb_variables="$_mb_variables _mb_globignore _mb_globignore_set _mb_globsort _mb_globsort_set _mb_shopts"

_mb_enter_modes() {
    if [ -n "${BASH_VERSION-}" ]; then
        _mb_leave=_mb_leave_modes
        case $_mb_options in *k*) set +k ;; esac
        # What it has by way of variables: names to leave out, and (5.3) another order. (The former sets dotglob.)
        _mb_globignore_set=${GLOBIGNORE+set} _mb_globignore=${GLOBIGNORE-}
        _mb_globsort_set=${GLOBSORT+set} _mb_globsort=${GLOBSORT-}
        _mb_shopts=
        for _mb_item in failglob nullglob nocaseglob nocasematch dotglob; do
            case :${BASHOPTS-}: in
            *":$_mb_item:"*)
                _mb_shopts="$_mb_shopts $_mb_item"
                shopt -u "$_mb_item"
                ;;
            esac
        done
        unset GLOBIGNORE GLOBSORT
    fi
    # dash and busybox end at such an assignment; these two say so, and go on.
    for _mb_item in PATH LD_LIBRARY_PATH LIBRARY_PATH CPATH CUDA_HOME CUDA_PATH CUDNN_HOME CUDNN_PATH VIRTUAL_ENV; do
        if eval "[ -n \"\${$_mb_item+set}\" ]" && ! eval "$_mb_item=\$$_mb_item"; then
            _mb_do refusal/settings _mb_refuse_readonly "$_mb_item"
            return
        fi
    done
}

_mb_leave_modes() {
    [ -z "$_mb_globignore_set" ] || GLOBIGNORE=$_mb_globignore
    [ -z "$_mb_globsort_set" ] || GLOBSORT=$_mb_globsort
    for _mb_item in $_mb_shopts; do
        shopt -s "$_mb_item"
    done
    case $_mb_options in *k*) set -k ;; esac
}
