# shellcheck shell=sh disable=SC2154,SC3067 # activate.sh and user.sh set them; all shells have -O
# Finds a folder for caches if HOME is not writable. README.md beside activate.sh has the rules.
_mb_functions="$_mb_functions _mb_allows_exec _mb_can_write _mb_find_place _mb_make_private _mb_set_caches _mb_set_default"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_flags _mb_has_temporary _mb_last_resort _mb_longest _mb_place"

_mb_can_write() { # FOLDER
    [ -d "$1" ] && [ -w "$1" ] && [ -x "$1" ]
}

_mb_set_caches() { # README.md has the rule
    if [ -z "${HOME-}" ]; then
        _mb_do activation/user _mb_find_user
        if _mb_can_write "$_mb_user_home"; then
            _mb_set HOME "$_mb_user_home"
        fi
    fi
    _mb_has_temporary=
    if _mb_can_write "${TMPDIR:-/tmp}" || _mb_can_write /tmp || _mb_can_write /var/tmp; then
        _mb_has_temporary=yes
    fi
    if [ -n "${HOME-}" ] && _mb_can_write "$HOME"; then
        [ -z "$_mb_has_temporary" ] || return 0
        _mb_make_private "$HOME/.cache/monobase-tmp" && _mb_set TMPDIR "$_mb_place"
        return 0
    fi
    _mb_find_place
    if [ -z "$_mb_place" ]; then
        _mb_log warning "no folder can be written to: not HOME (${HOME:-not set}), /tmp, /var/tmp, /dev/shm; torch.compile, Triton and extensions cannot keep what they build. Mount a volume (Kubernetes: an emptyDir) at /tmp"
        return 0
    fi
    _mb_log info "HOME=${HOME-} cannot be written to; caches go to $_mb_place"
    case ${HOME-} in
    '' | /) [ -d /.cache ] || _mb_set HOME "$_mb_place" ;;
    esac
    if [ "${HOME-}" != "$_mb_place" ]; then
        # An image may hold weights in ~/.cache: they must be found there.
        if [ ! -d "${HOME-}/.cache" ]; then
            _mb_set_default XDG_CACHE_HOME "$_mb_place/.cache"
        fi
        _mb_set_default TORCH_EXTENSIONS_DIR "$_mb_place/.cache/torch_extensions"
        _mb_set_default TRITON_CACHE_DIR "$_mb_place/.triton/cache"
        _mb_set_default CUDA_CACHE_PATH "$_mb_place/.nv/ComputeCache"
    fi
    [ -n "$_mb_has_temporary" ] || _mb_set_default TMPDIR "$_mb_place"
    _mb_allows_exec "$_mb_place" ||
        _mb_log warning "$_mb_place is all that can be written to, and is mounted noexec: what torch.compile, Triton and extensions build cannot be loaded. Mount a volume (Kubernetes: an emptyDir) at /tmp"
}

_mb_find_place() { # sets _mb_place to a folder for caches; empty if there is none
    _mb_place=
    _mb_do activation/user _mb_find_user
    for _mb_item in "${XDG_CACHE_HOME-}" "${HOME:-/dev/null}/.cache"; do
        if _mb_can_write "$_mb_item" && _mb_allows_exec "$_mb_item"; then
            _mb_place=$_mb_item
            return 0
        fi
    done
    _mb_last_resort=
    for _mb_item in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm; do
        if _mb_can_write "$_mb_item" && _mb_make_private "$_mb_item/monobase-${_mb_uid:-user}"; then
            if _mb_allows_exec "$_mb_place"; then
                return 0
            fi
            _mb_last_resort=${_mb_last_resort:-$_mb_place}
        fi
    done
    _mb_place=$_mb_last_resort
}

_mb_make_private() { # FOLDER: creates it, or one beside it if another user owns the name; sets _mb_place
    _mb_place=$1
    # In a sticky folder, the owner of a folder is the user who created it.
    if [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; then
        _mb_can_write "$1" && return 0
    elif [ ! -e "$1" ] && [ ! -L "$1" ]; then
        [ -d "${1%/*}" ] || mkdir -p "${1%/*}" 2>/dev/null
        mkdir -m 700 "$1" 2>/dev/null && return 0
    fi
    _mb_place=$(mktemp -d "$1-XXXXXXXX" 2>/dev/null) && [ -n "$_mb_place" ]
}

_mb_allows_exec() { # FOLDER: whether it is not mounted noexec, according to the list of mounts
    [ -r /proc/self/mounts ] || return 0
    _mb_longest=
    _mb_flags=
    while read -r _mb_1 _mb_2 _mb_3 _mb_4 _mb_5; do
        case $1/ in
        "${_mb_2%/}"/*)
            if [ "${#_mb_2}" -ge "${#_mb_longest}" ]; then
                _mb_longest=$_mb_2
                _mb_flags=$_mb_4
            fi
            ;;
        esac
    done </proc/self/mounts
    case ,$_mb_flags, in *,noexec,*) return 1 ;; esac
}

_mb_set_default() { # VARIABLE VALUE: exports a value if the caller has none
    eval "_mb_item=\${$1-}"
    if [ -z "$_mb_item" ]; then
        eval "$1=\$2"
        export "${1?}"
    fi
}
