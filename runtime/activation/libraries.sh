# shellcheck shell=sh disable=SC2154,SC3013 # all shells have -ef, and POSIX has it since 2024
# Chooses between two libraries: of an environment and of a venv on top, or of Torch and of a toolkit. README.md beside
# activate.sh has the rules and their reasons.
_mb_functions="$_mb_functions _mb_choose_cudnn _mb_compare_cudas _mb_cudnns_differ _mb_list_libraries_of_both"
_mb_variables="$_mb_variables _mb_cudnn_1 _mb_cudnn_2 _mb_torch_cudnn"

_mb_list_libraries_of_both() { # adds the CUDA libraries of both sides; sets _mb_torch_home and _mb_other
    # Torch finds the libraries that it is linked to by RPATH, beside itself, before any search path. So the side that has
    # Torch comes first, and of a library that both sides have only its folder is listed: cuDNN then loads its parts, by
    # name, in the version that Torch has loaded. From cu13 on, one folder holds all libraries but cuDNN, and the other side
    # may have further ones in it.
    if [ -d "$_mb_other/torch/lib" ]; then
        _mb_other=$_mb_torch_home
        _mb_torch_home=$_mb_user_venv/$_mb_packages
    fi
    for _mb_item in "$_mb_torch_home"/nvidia/*/lib "$_mb_other"/nvidia/*/lib; do
        [ -d "$_mb_item" ] || continue
        case $_mb_item in
        "$_mb_torch_home"/* | */nvidia/cu[0-9]*/lib) ;;
        *) [ ! -d "$_mb_torch_home${_mb_item#"$_mb_other"}" ] || continue ;;
        esac
        _mb_libraries=$_mb_libraries:$_mb_item
    done
    if [ "$_mb_torch_home" != "$_mb_user_venv/$_mb_packages" ] && [ -s "$_mb_user_venv/.monobase-note" ]; then
        read -r _mb_item <"$_mb_user_venv/.monobase-note" || :
        _mb_log warning "the environment's Torch loads its own $_mb_item; to use the venv's, install Torch in $_mb_user_venv as well"
    fi
}

_mb_compare_cudas() {
    case $_mb_name in
    *-cu"${_mb_cuda_two%%.*}${_mb_cuda_two#*.}") ;;
    *-cu[0-9]*) _mb_log info "CUDA extensions are built with the toolkit of CUDA $_mb_cuda_two, and run with the libraries of ${_mb_name##*-}" ;;
    esac
}

_mb_choose_cudnn() { # adds the cuDNN of CUDNN_VERSION, or Torch's own, to the paths of the linker and the compiler
    _mb_torch_cudnn=
    for _mb_item in "$_mb_torch_home/nvidia/cudnn" "$_mb_other/nvidia/cudnn"; do
        if [ -z "$_mb_torch_cudnn" ] && [ -e "$_mb_item/lib/libcudnn.so.${_mb_cudnn%%.*}" ]; then
            _mb_torch_cudnn=$_mb_item
        fi
    done
    # With a second cuDNN of one major version on the path, the parts of both would be mixed.
    if [ -z "$_mb_torch_cudnn" ] && [ ! -e "$_mb_torch_home/torch/lib/libcudnn.so.${_mb_cudnn%%.*}" ]; then
        _mb_libraries=$_mb_libraries:$_mb_cudnn_home/lib
    fi
    if [ -n "$_mb_torch_cudnn" ] && _mb_cudnns_differ; then
        if [ -e "$_mb_torch_cudnn/include/cudnn.h" ]; then
            # A build uses the headers and the library that it will run with. The linker searches for libcudnn.so, which
            # the toolkit has and wheels lack. CMake does not read LIBRARY_PATH.
            _mb_log warning "Torch loads its own cuDNN $_mb_cudnn_1: builds get its headers, not those of the toolkit's cuDNN $_mb_cudnn_2"
            _mb_link=$_mb_link:$_mb_torch_cudnn/lib:$_mb_cudnn_home/lib
            _mb_set CMAKE_LIBRARY_PATH "$_mb_cudnn_home/lib${CMAKE_LIBRARY_PATH:+:$CMAKE_LIBRARY_PATH}"
            _mb_cudnn_home=$_mb_torch_cudnn
            _mb_include=$_mb_include:$_mb_cudnn_home/include
            return 0
        fi
        _mb_log warning "Torch loads its own cuDNN $_mb_cudnn_1, but builds get the headers of the toolkit's cuDNN $_mb_cudnn_2"
    fi
    _mb_link=$_mb_link:$_mb_cudnn_home/lib
    _mb_include=$_mb_include:$_mb_cudnn_home/include
}

_mb_cudnns_differ() { # whether Torch's cuDNN and the toolkit's are two known versions; sets _mb_cudnn_1 and _mb_cudnn_2
    # One version is one inode, as the installer links it.
    _mb_item=lib/libcudnn.so.${_mb_cudnn%%.*}
    [ ! "$_mb_torch_cudnn/$_mb_item" -ef "$_mb_cudnn_home/$_mb_item" ] || return 1
    _mb_cudnn_1=
    for _mb_item in "${_mb_torch_cudnn%/nvidia/cudnn}"/nvidia_cudnn_cu*-*.dist-info; do
        [ ! -d "$_mb_item" ] || _mb_cudnn_1=${_mb_item%.dist-info}
    done
    _mb_cudnn_1=${_mb_cudnn_1##*-}
    [ -n "$_mb_cudnn_1" ] || return
    _mb_do activation/search _mb_scan cudnn
    _mb_cudnn_2=$_mb_2
    [ "$_mb_state" = ready ] && [ "$_mb_cudnn_1" != "$_mb_cudnn_2" ]
}
