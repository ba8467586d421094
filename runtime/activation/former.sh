# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Removes from the variables what an earlier activation set, and the image's entries for processes that are not activated.
_mb_functions="$_mb_functions _mb_remove_former _mb_remove_from _mb_unset_python_home"
_mb_variables="$_mb_variables _mb_rest _mb_todo"

_mb_remove_former() {
    _mb_remove_from PATH "${PATH-}"
    _mb_remove_from LD_LIBRARY_PATH "${LD_LIBRARY_PATH-}"
    _mb_remove_from LIBRARY_PATH "${LIBRARY_PATH-}"
    _mb_remove_from CMAKE_LIBRARY_PATH "${CMAKE_LIBRARY_PATH-}"
    _mb_remove_from CPATH "${CPATH-}"
    for _mb_rest in CUDA_HOME CUDA_PATH CUDNN_HOME CUDNN_PATH; do
        eval "_mb_item=\${$_mb_rest-}"
        case $_mb_item in */monobase/g[0-9][0-9][0-9][0-9][0-9]*/*) unset "$_mb_rest" ;; esac
    done
    unset MONOBASE_CUDA_COMPAT
}

_mb_remove_from() { # VARIABLE LIST: keeps the caller's own entries
    [ -n "$2" ] || return 0
    _mb_rest=
    _mb_todo=$2:
    while [ -n "$_mb_todo" ]; do
        _mb_item=${_mb_todo%%:*}
        _mb_todo=${_mb_todo#*:}
        case $_mb_item in
        */monobase/g[0-9][0-9][0-9][0-9][0-9]*/*) ;;
        /usr/local/nvidia/bin | /usr/local/nvidia/lib | /usr/local/nvidia/lib64) ;;
        # The image's launchers of a toolkit's commands: from now on nvcc is the toolkit's, or not found.
        /opt/monobase/bin) ;;
        "${MONOBASE_CUDA_COMPAT:-/dev/null}") ;;
        "${_mb_user_venv:-/dev/null}/bin" | "${_mb_user_venv:-/dev/null}"/lib/python*/nvidia/*/lib) ;;
        "${VIRTUAL_ENV:-/dev/null}/bin" | "${VIRTUAL_ENV:-/dev/null}"/lib/python*/nvidia/*/lib) ;;
        *) _mb_rest=$_mb_rest:$_mb_item ;;
        esac
    done
    if [ -n "$_mb_rest" ]; then
        eval "$1=\${_mb_rest#:}"
    else
        unset "$1"
    fi
}

_mb_unset_python_home() { # as a venv's own activate does: Python would load another standard library
    _mb_log info "PYTHONHOME=$PYTHONHOME is unset: a virtual environment's Python does not start with it"
    unset PYTHONHOME
}
