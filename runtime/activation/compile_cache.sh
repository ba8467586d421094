# shellcheck shell=sh disable=SC2154,SC3065,SC3067 # activate.sh and user.sh set them; all shells have -O and -k
# Leads the caches of compilers to a folder of the node, if the operator gives one. README.md beside activate.sh has the rules.
_mb_functions="$_mb_functions _mb_check_cache_folder _mb_find_gpu _mb_lead _mb_set_compile_cache"
_mb_variables="$_mb_variables _mb_cache _mb_gpu _mb_model _mb_owner"

_mb_set_compile_cache() { # whatever keeps it from being used is a warning: the model compiles for itself
    _mb_cache=${MONOBASE_COMPILE_CACHE%/}
    case $_mb_cache in
    *[[:cntrl:]]* | *:* | [!/]*)
        _mb_log warning "MONOBASE_COMPILE_CACHE=$_mb_cache is not an absolute path without colons; not using it"
        return 0
        ;;
    esac
    _mb_do activation/user _mb_find_user
    _mb_owner=$_mb_cache/uid-${_mb_uid:-unknown}
    _mb_check_cache_folder "$_mb_cache" || return 0
    # The same wheels give the same code, in whichever generation; without .content, an older daemon has installed them.
    _mb_found=''
    [ ! -r "$_mb_environment/.content" ] || read -r _mb_found <"$_mb_environment/.content" || :
    case $_mb_found in
    *[!0-9a-f]* | '') _mb_found=$_mb_generation_found ;;
    *) _mb_found=${_mb_found%"${_mb_found#????????????}"} ;;
    esac
    _mb_find_gpu
    _mb_link=$_mb_owner/$_mb_name-$_mb_found/$_mb_gpu
    # The time of `.used` tells the daemon what may go first. `>|` as the caller may have set -C.
    if ! { [ -d "$_mb_link" ] || mkdir -p "$_mb_link"; } 2>/dev/null || ! { : >|"$_mb_link/.used"; } 2>/dev/null; then
        _mb_log warning "$_mb_link cannot be written to; compiling without the cache of the node"
        return 0
    fi
    _mb_lead TORCHINDUCTOR_CACHE_DIR "$_mb_link/inductor"
    _mb_lead TRITON_CACHE_DIR "$_mb_link/triton"
    _mb_lead CUDA_CACHE_PATH "$_mb_link/cuda"
    _mb_log info "compiled code is kept in $_mb_link"
}

_mb_check_cache_folder() { # FOLDER: whether nobody else can write what this user would load; makes the user's own folder
    if [ ! -d "$1" ]; then
        _mb_log warning "MONOBASE_COMPILE_CACHE=$1 is not a folder; mount it from the node (daemon: --compile-cache)"
    elif [ -w "$1" ] && [ ! -O "$1" ] && [ ! -k "$1" ]; then
        # Another user could rename this user's folder, and put one of its own in its place.
        _mb_log warning "$1 is writable for others and not sticky: its code could be anybody's; not using it (chmod 1777)"
    elif { [ -e "$_mb_owner" ] || mkdir -m 700 "$_mb_owner" || [ -e "$_mb_owner" ]; } 2>/dev/null; then
        if [ -L "$_mb_owner" ] || [ ! -d "$_mb_owner" ] || [ ! -O "$_mb_owner" ]; then
            _mb_log warning "$_mb_owner is not a folder of this user: its code could be anybody's; not using it"
        elif _mb_do activation/caches _mb_allows_exec "$_mb_owner"; then
            return 0
        else
            _mb_log warning "$1 is mounted noexec: compiled code cannot be loaded from it; not using it"
        fi
    else
        _mb_log warning "$_mb_owner cannot be made; compiling without the cache of the node"
    fi
    return 1
}

_mb_find_gpu() { # sets _mb_gpu to the model of the node's GPUs, as a name of a folder; `mixed` for several, `cpu` for none
    _mb_gpu=cpu
    [ -e /dev/nvidiactl ] || return 0
    for _mb_item in /proc/driver/nvidia/gpus/*/information; do
        [ -r "$_mb_item" ] || continue
        read -r _mb_kind _mb_model <"$_mb_item" || :
        case $_mb_gpu in cpu | "$_mb_model") _mb_gpu=$_mb_model ;; *) _mb_gpu=mixed && break ;; esac
    done
    [ "$_mb_gpu" != cpu ] || _mb_gpu=gpu
    while :; do
        case $_mb_gpu in *[!0-9A-Za-z-]*) ;; *) return ;; esac
        _mb_model=${_mb_gpu%%[!0-9A-Za-z-]*}
        _mb_gpu=$_mb_model-${_mb_gpu#"$_mb_model"?}
    done
}

_mb_lead() { # VARIABLE FOLDER: exports it, unless the caller has set it; what an earlier activation has set does not count
    eval "_mb_item=\${$1-}"
    case $_mb_item in
    '' | "$_mb_owner"/*) _mb_set "$1" "$2" ;;
    esac
}
