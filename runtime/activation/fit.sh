# shellcheck shell=sh disable=SC2154 # activate.sh and search.sh set them
# Finds out which builds the NVIDIA driver of this machine runs. README.md beside activate.sh has the rules.
_mb_functions="$_mb_functions _mb_check_fit _mb_find_compat _mb_rank_build _mb_search_build _mb_take_driver \
    _mb_take_driver_word _mb_take_drivers _mb_take_need _mb_take_run_cuda _mb_warn_of_driver"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_best _mb_best_cuda _mb_best_rank _mb_builds _mb_compat_why \
    _mb_cuda_decided_by _mb_driver _mb_drivers _mb_model _mb_need _mb_only_build _mb_other _mb_rank _mb_ready _mb_rest _mb_run_cuda _mb_version \
    _mb_warned"
unset _mb_driver _mb_drivers
_mb_warned=''

_mb_take_driver() { # sets _mb_driver to the version of the driver; fails if it is unknown, or if this container has no GPU
    if [ -z "${_mb_driver+set}" ]; then
        _mb_driver='' _mb_rest=''
        [ -e /dev/nvidiactl ] || return
        # NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (...)
        [ ! -r /proc/driver/nvidia/version ] || read -r _mb_rest </proc/driver/nvidia/version || :
        _mb_rest="$_mb_rest "
        while [ -n "$_mb_rest" ] && [ -z "$_mb_driver" ]; do
            _mb_take_driver_word "${_mb_rest%%[[:space:]]*}"
            _mb_rest=${_mb_rest#*[[:space:]]}
        done
        # gVisor has no such file. The driver's library has the version in its name.
        for _mb_item in /usr/local/nvidia/lib64/libcuda.so.[0-9]*.[0-9]* /usr/lib/*-linux-gnu/libcuda.so.[0-9]*.[0-9]* \
            /usr/lib64/libcuda.so.[0-9]*.[0-9]*; do
            [ -n "$_mb_driver" ] || [ ! -e "$_mb_item" ] || _mb_take_driver_word "${_mb_item##*/libcuda.so.}"
        done
    fi
    [ -n "$_mb_driver" ]
}

_mb_take_driver_word() { # WORD: sets _mb_driver to the version that it begins with: 580.65.06 of 580.65.06-grid
    set -- "${1%%[!0123456789.]*}"
    case $1 in [0-9]*.[0-9]*) _mb_driver=$1 ;; esac
}

_mb_warn_of_driver() { # TEXT: says once, in a container with a GPU whose driver is unknown, what that means
    if [ -n "$_mb_warned" ] || [ ! -e /dev/nvidiactl ]; then
        return 0
    fi
    _mb_warned=yes
    _mb_log warning "there is a GPU, but the version of its driver is unknown (/proc/driver/nvidia/version); $1"
}

_mb_take_drivers() { # sets _mb_drivers to the list's minimum drivers by CUDA: " 12.4=525.60.13 13.0=580.65.06 "
    _mb_drivers=' '
    [ -n "$_mb_platform" ] || return 0 # the list of an older installer
    while read -r _mb_kind _mb_1 _mb_2; do
        case $_mb_kind:$_mb_drivers in
        driver:*) _mb_drivers="$_mb_drivers$_mb_1=$_mb_2 " ;;
        *=*) break ;; # they are in one place
        esac
    done <"$_mb_folder/environments"
}

_mb_take_need() { # CUDA: sets _mb_need to the oldest driver that runs it; empty if none is known
    [ -n "${_mb_drivers+set}" ] || _mb_take_drivers
    case $_mb_drivers in
    *" $1="*)
        _mb_need=${_mb_drivers#*" $1="}
        _mb_need=${_mb_need%% *}
        return
        ;;
    esac
    # NVIDIA's minimum for all releases of a major version; gens/drivers.py has the sources.
    case ${1%%.*} in 11) _mb_need=450.80.02 ;; 12) _mb_need=525.60.13 ;; 13) _mb_need=580.65.06 ;; *) _mb_need='' ;; esac
}

_mb_take_run_cuda() { # sets _mb_run_cuda to the CUDA that the environment runs with, which CUDA_VERSION need not be; or empty
    _mb_run_cuda=
    if [ "$_mb_choice" = stack ]; then
        _mb_run_cuda=${_mb_stack_cuda#-}
        return
    fi
    case $_mb_name in
    *-torch*-cu[0-9][0-9]*)
        _mb_item=${_mb_name##*-cu}
        _mb_run_cuda=${_mb_item%?}.${_mb_item#"${_mb_item%?}"}
        ;;
    esac
}

_mb_check_fit() { # ends with a message if the driver does not run the environment
    [ "$_mb_fit" != off ] || return 0
    _mb_take_run_cuda
    [ -n "$_mb_run_cuda" ] || return 0
    _mb_take_driver || {
        _mb_warn_of_driver "going on with CUDA $_mb_run_cuda, which it may not run (MONOBASE_FIT=off does not look)"
        return 0
    }
    _mb_take_need "$_mb_run_cuda"
    if [ -z "$_mb_need" ] || ! _mb_do activation/versions _mb_is_newer "$_mb_need" "$_mb_driver"; then
        return 0
    fi
    if _mb_find_compat; then
        _mb_log info "CUDA $_mb_run_cuda needs the driver $_mb_need; completing $_mb_driver by the libraries in $_mb_compat"
        return
    fi
    _mb_do refusal/fit _mb_refuse_driver
}

_mb_find_compat() { # sets _mb_compat to NVIDIA's forward-compatibility libraries for _mb_need; _mb_compat_why says why not
    _mb_compat='' _mb_compat_why=''
    set -- "${_mb_cuda_home:-/dev/null}" "${CUDA_HOME:-/dev/null}" /usr/local/cuda /usr/local/cuda-* /usr/local/nvidia
    for _mb_other in "$@"; do
        for _mb_item in "$_mb_other"/compat/libcuda.so.[0-9]*.[0-9]* "$_mb_other"/compat/lib*/libcuda.so.[0-9]*.[0-9]*; do
            if [ -n "$_mb_compat" ] || [ ! -e "$_mb_item" ] || [ ! -e "${_mb_item%/*}/libcuda.so.1" ]; then
                continue
            fi
            _mb_version=${_mb_item##*/libcuda.so.}
            if _mb_do activation/versions _mb_is_newer "$_mb_need" "$_mb_version"; then
                _mb_compat_why="The forward-compatibility libraries in ${_mb_item%/*} are of driver $_mb_version: too old as well."
            else
                _mb_compat=${_mb_item%/*}
            fi
        done
    done
    [ -n "$_mb_compat" ] || return
    for _mb_item in /proc/driver/nvidia/gpus/*/information; do
        _mb_model=''
        [ ! -r "$_mb_item" ] || read -r _mb_kind _mb_model <"$_mb_item" || :
        case $_mb_model in
        *GeForce* | *TITAN*)
            _mb_compat_why="The forward-compatibility libraries in $_mb_compat are for data-center GPUs, not for a $_mb_model."
            _mb_compat=
            return 1
            ;;
        esac
    done
}

_mb_search_build() { # takes the newest build of this Torch and Python that the driver runs; returns as search.sh does
    if ! _mb_take_driver; then
        _mb_warn_of_driver "choosing a build as without a GPU, as CUDA_VERSION is not set"
        _mb_choice=
        _mb_search_environment
        return
    fi
    _mb_builds='' _mb_best='' _mb_best_cuda='' _mb_best_rank=-1
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 || [ -n "$_mb_kind" ]; do
        if [ "$_mb_kind" = environment ] && _mb_fits "$PYTHON_VERSION" "$_mb_1" && _mb_fits "$_mb_torch" "$_mb_3"; then
            ! _mb_is_left_out "$_mb_item" || _mb_ready=left-out
            [ ! -d "$_mb_folder/$_mb_item" ] || _mb_ready=ready
            _mb_builds="$_mb_builds$_mb_item $_mb_ready $_mb_1 $_mb_4 $_mb_5 "
        fi
    done <"$_mb_folder/environments"
    # shellcheck disable=SC2086 # five words for each build
    set -- $_mb_builds
    [ "$#" != 0 ] || _mb_do refusal/prefix _mb_refuse_environment || return
    _mb_builds=$#
    while [ "$#" != 0 ]; do
        _mb_rank_build "$2" "$5"
        if [ "$_mb_rank" = "$_mb_best_rank" ]; then
            ! _mb_do activation/versions _mb_is_newer "$5" "$_mb_best_cuda" || _mb_best_rank=-1
        fi
        if [ "$_mb_rank" -gt "$_mb_best_rank" ]; then
            _mb_best=$1 _mb_best_rank=$_mb_rank _mb_state=$2 _mb_python_two=$3 _mb_only_build=$4 _mb_best_cuda=$5
        fi
        shift 5
    done
    _mb_name=$_mb_best _mb_compat=''
    _mb_item="Torch $_mb_torch for Python $_mb_python_two"
    if [ "$_mb_best_cuda" = - ]; then
        # Builds for CUDA would have come first.
        [ "$_mb_builds" = 5 ] || [ "$_mb_waited_s" != 0 ] ||
            _mb_log warning "the driver $_mb_driver runs no CUDA build of $_mb_item that this node holds; taking the one for CPUs, as CUDA_VERSION is not set"
        _mb_only_build=''
    else
        _mb_cuda=$_mb_best_cuda _mb_cuda_two=$_mb_best_cuda
        _mb_item="$_mb_only_build, the newest build of $_mb_item for the driver $_mb_driver"
        _mb_cuda_decided_by=$_mb_item
        _mb_log info "CUDA_VERSION is not set; taking $_mb_item"
    fi
    [ "$_mb_state" = ready ] || _mb_await "$_mb_name"
}

_mb_rank_build() { # STATE CUDA: sets _mb_rank; CUDA before the CPU, the driver alone before added libraries, ready before missing
    _mb_rank=0
    [ "$1" != left-out ] || return 0
    _mb_rank=1
    [ "$2" != - ] || return 0
    _mb_take_need "$2"
    if [ -n "$_mb_need" ] && _mb_do activation/versions _mb_is_newer "$_mb_need" "$_mb_driver"; then
        _mb_rank=0
        ! _mb_find_compat || _mb_rank=2
    else
        _mb_rank=3
        [ "$1" != ready ] || _mb_rank=4
    fi
}
