# shellcheck shell=sh disable=SC2154,SC3028,SC3041,SC3044 # bash has them, and only bash is asked for them
# Saves and restores the modes of bash that change the meaning of the runtime's files; refuses read-only variables in zsh too.
_mb_functions="$_mb_functions _mb_enter_modes _mb_leave_modes"
_mb_variables="$_mb_variables _mb_globignore _mb_globignore_set _mb_globsort _mb_globsort_set _mb_shopts"

_mb_enter_modes() {
    if [ -n "${BASH_VERSION-}" ]; then
        _mb_leave=_mb_leave_modes
        case $_mb_options in *k*) set +k ;; esac
        # Variables change globbing too: GLOBIGNORE hides names (and sets dotglob), GLOBSORT (5.3) changes the order.
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
    # These two shells report such an assignment and continue; dash and busybox exit by themselves.
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
