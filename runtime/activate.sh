# shellcheck shell=sh disable=SC2128,SC3013,SC3028 # used where they are, or all shells have them
# Activates the environment that PYTHON_VERSION, TORCH_VERSION, CUDA_VERSION and CUDNN_VERSION name, in the shell that runs
# `. /opt/monobase/activate.sh`. README.md beside this file is for users. For authors:
#
# - It runs in the caller's shell, which may be dash, bash, busybox ash or zsh, with any options. So: POSIX sh; every name
#   begins with _mb_ and is unset at the end; a failure returns, it never exits; nothing is printed to stdout.
# - A shell reads all of it at every container start. So it holds the way without errors, and starts no process. It reads
#   other files only if needed: activation/ for rare cases, refusal/ to explain an error.
# - A folder that the variables name is complete if it exists (it is renamed into place). Only three lines of the list of
#   environments are read: in some shells `read` makes a system call for each byte.
# - Variables of the caller are changed at the end, when nothing can fail any more.

# zsh parses a file by the options of the caller, some of which (cshjunkiequotes) change its meaning: read it again as sh.
if [ -n "${ZSH_VERSION-}" ] && [ -z "${_mb_zsh-}" ]; then
    eval '_mb_zsh=${(%):-%x}'
    emulate sh -c ". \"\$_mb_zsh\""
    return
fi

_mb_do() { # FILE FUNCTION [ARGUMENT ...]: calls a function of another file of the runtime
    case $_mb_read in *" $1 "*) ;; *) _mb_read_file "$1" || return ;; esac
    shift
    "$@"
}

_mb_read_file() { # FILE, which lies beside this one (called by its path, by that of a link, or by its name alone)
    [ -n "$_mb_here" ] || _mb_here=${_mb_zsh:-${BASH_VERSION:+${BASH_SOURCE-}}}
    if [ -z "$_mb_here" ]; then
        # dash and busybox do not report which file they read, but keep it open.
        _mb_here=/opt/monobase/activate.sh
        for _mb_item in /proc/self/fd/??*; do
            [ ! "$_mb_item" -ef "$_mb_here" ] || break
            { _mb_found=$(PATH=$PATH:/usr/bin:/bin readlink /proc/self/fd/0); } 2>/dev/null <"$_mb_item" || continue
            case $_mb_found in */activate.sh) _mb_here=$_mb_found ;; esac
        done
    fi
    [ -r "${_mb_here%/*}/$1.sh" ] || _mb_here=$(PATH=$PATH:/usr/bin:/bin readlink -f "$_mb_here" || echo "$_mb_here")
    if [ ! -r "${_mb_here%/*}/$1.sh" ]; then
        printf 'monobase: error: %s/%s.sh cannot be read; install the whole folder of activate.sh\n' "${_mb_here%/*}" "$1" >&2
        return 72
    fi
    _mb_read="$_mb_read$1 "
    # shellcheck source=/dev/null
    . "${_mb_here%/*}/$1.sh"
}

_mb_log() { # LEVEL TEXT, for the levels info and warning
    case $_mb_log_level:$1:$2 in
    *[[:cntrl:]]*) _mb_do refusal/message _mb_log_controls "$@" ;;
    debug:* | info:* | warning:warning:*) printf 'monobase: %s: %s\n' "$1" "$2" >&2 ;;
    esac
}

_mb_take_version() { # VARIABLE VALUE: sets _mb_two to the first two numbers of a version
    case $2 in
    *[!0-9A-Za-z.+_-]* | [!0-9]* | *..* | *.) ;;
    *.*) _mb_two=${2#*.} && _mb_two=${2%%.*}.${_mb_two%%.*} && return ;;
    esac
    _mb_do refusal/settings _mb_refuse_version "$1"
}

_mb_take_settings() {
    _mb_log_level=${MONOBASE_LOG_LEVEL:-warning} _mb_prefix=${MONOBASE_PREFIX:-/srv/r8/monobase}
    _mb_generation=${MONOBASE_GEN_ID:-latest} _mb_wait_s=${MONOBASE_WAIT_S:-0} _mb_fit=${MONOBASE_FIT:-on}
    case $_mb_log_level in debug | info | warning | error) ;; *) _mb_do activation/settings _mb_take_level || return ;; esac
    case $_mb_wait_s:${MONOBASE_LEASE:-0}:$_mb_fit:$_mb_generation:$_mb_prefix in
    *:*:*:*:*:* | *[[:cntrl:]]* | */) false ;;
    0:[01]:on:latest:/* | 0:[01]:on:g[0-9][0-9][0-9][0-9][0-9]:/*) ;;
    *) false ;;
    esac || _mb_do activation/settings _mb_take_options || return
    _mb_torch=${TORCH_VERSION-} _mb_cuda=${CUDA_VERSION-} _mb_cudnn=${CUDNN_VERSION-}
    _mb_build='' _mb_choice='' _mb_two='' _mb_compat=''
    [ -z "${MONOBASE_STACK-}" ] || _mb_do activation/stack _mb_take_stack || return
    [ "${PYTHON_VERSION-}:$_mb_choice" = :stack ] || _mb_take_version PYTHON_VERSION "${PYTHON_VERSION-}" || return
    _mb_python_two=$_mb_two _mb_name=python$_mb_two
    [ -z "$_mb_cuda" ] || _mb_take_version CUDA_VERSION "$_mb_cuda" || return
    _mb_cuda_two=${_mb_cuda:+$_mb_two}
    if [ -n "$_mb_torch" ]; then
        _mb_take_version TORCH_VERSION "$_mb_torch" || return
        case $_mb_torch in *+*) _mb_do activation/settings _mb_take_build || return ;; esac
        _mb_item=${_mb_cuda_two:+cu${_mb_cuda_two%%.*}${_mb_cuda_two#*.}}
        _mb_name=$_mb_name-torch$_mb_torch-${_mb_build:-${_mb_item:-cpu}}
        # Where there is a GPU and nothing says which build, the driver decides.
        [ -n "$_mb_item$_mb_build$_mb_choice" ] || [ "$_mb_fit" = off ] || [ ! -e /dev/nvidiactl ] || _mb_choice=build
    fi
    [ -z "$_mb_cudnn" ] || _mb_take_version CUDNN_VERSION "$_mb_cudnn.0" || return
    [ -z "$_mb_cudnn" ] || [ -n "$_mb_cuda$_mb_torch$_mb_choice" ] || _mb_do refusal/settings _mb_refuse_cudnn_alone || return
    # A virtual environment on top: named, or else the one that the image has activated.
    _mb_user_venv=${MONOBASE_USER_VENV-${VIRTUAL_ENV-}}
    case ${MONOBASE_USER_VENV+named:}$_mb_user_venv/ in
    / | named:/) ;;
    *:*:* | *[[:cntrl:]]* | *// | named:"$_mb_prefix"/* | [!n]* | named:[!/]*) false ;;
    esac || _mb_do activation/user_venv _mb_take_user_venv
}

_mb_runs_on_machine() { # whether image and list agree; a glibc before 2.34 has its version in a file name, and a link to it
    [ ! -L /lib64/libc.so.6 ] && [ ! -L /lib/x86_64-linux-gnu/libc.so.6 ] && [ ! -L /lib/aarch64-linux-gnu/libc.so.6 ] || return
    case $_mb_platform in
    x86_64-* | '') [ -e /lib64/ld-linux-x86-64.so.2 ] ;;
    aarch64-*) [ -e /lib/ld-linux-aarch64.so.1 ] ;;
    esac
}

_mb_runs_on_driver() { # whether the driver runs the build for sure, without the list's lines about drivers
    case $_mb_choice:$_mb_name in :*-cu1[123]*) ;; :*-cu* | [!:]*) return 1 ;; *) return 0 ;; esac
    [ "$_mb_fit" != off ] && [ -e /dev/nvidiactl ] || return 0
    [ -r /proc/driver/nvidia/version ] && read -r _mb_item </proc/driver/nvidia/version || return
    # From 580.65.06 on, a driver runs every CUDA up to 13: those that are newer at a glance.
    case $_mb_item in *\ 580.6[6-9].* | *\ 580.[7-9]?.* | *\ 580.1??.* | *\ 58[1-9].* | *\ 59?.* | *\ [6-9]??.*) ;; *) return 1 ;; esac
}

_mb_find() { # returns 75 if a part (_mb_lack) may still be installed; another code, after a message, if not
    _mb_generations=${_mb_prefix%/}/monobase
    _mb_folder=$_mb_generations/$_mb_generation
    [ -r "$_mb_folder/environments" ] || _mb_do activation/search _mb_search_generation || return
    _mb_two='' _mb_platform=''
    { read -r _mb_kind _mb_format && read -r _mb_item _mb_found _mb_state && { read -r _mb_two _mb_platform || :; }; } \
        <"$_mb_folder/environments" || _mb_kind=
    [ "$_mb_two" = platform ] || _mb_platform='' # an older installer's list
    case $_mb_kind:${_mb_format-}:${_mb_item-}:${_mb_found-} in
    monobase-environments:1:generation:g*[!0-9]* | *:g) false ;;
    monobase-environments:1:generation:g*) ;;
    *) false ;;
    esac || _mb_do refusal/prefix _mb_refuse_list || return
    _mb_folder=$_mb_generations/$_mb_found _mb_generation_found=$_mb_found
    _mb_runs_on_machine || _mb_do activation/platform _mb_check_platform || return
    [ -z "$_mb_choice" ] && [ -x "$_mb_folder/$_mb_name/bin/python" ] ||
        _mb_do activation/search _mb_search_environment || return
    _mb_environment=$_mb_folder/$_mb_name _mb_packages=lib/python$_mb_python_two/site-packages
    _mb_cuda_home=${_mb_cuda:+$_mb_folder/cuda$_mb_cuda_two}
    [ -d "${_mb_cuda_home:-/}" ] || _mb_do activation/search _mb_search_cuda || return
    _mb_cudnn_home=${_mb_cudnn:+$_mb_folder/cudnn${_mb_cudnn%%.*}-cuda${_mb_cuda%%.*}}
    [ -d "${_mb_cudnn_home:-/}" ] || _mb_do activation/search _mb_search_cudnn || return
    _mb_runs_on_driver || _mb_do activation/fit _mb_check_fit
}

_mb_is_prepared() { # whether user_venv/ has prepared the venv on top for this environment, and all that it wrote exists
    if [ -d "$_mb_user_venv/.monobase-base" ]; then # a layer: it was prepared when it was made, for the wheels of its base
        [ -r "$_mb_environment/.content" ] && read -r _mb_found <"$_mb_environment/.content" || return
        [ -n "$_mb_found" ] && [ -e "$_mb_user_venv/.monobase-base/$_mb_found" ] && [ -x "$_mb_user_venv/bin/python" ]
        return
    fi
    [ -r "$_mb_user_venv/.monobase" ] && read -r _mb_format _mb_item <"$_mb_user_venv/.monobase" || return
    [ "$_mb_format $_mb_item" = "2 $_mb_environment" ] || return
    # Links to all files that an installer (`uv sync`) may have removed since: checked without reading any.
    for _mb_item in "$_mb_user_venv/.monobase-watched"/*; do
        [ -e "$_mb_item" ] || return
    done
    [ ! -d "$_mb_user_venv/$_mb_packages/nvidia" ] || _mb_do activation/user_venv _mb_is_noted
}

_mb_set() { # VARIABLE VALUE: exports a value that is not empty
    [ -z "$2" ] || eval "$1=\$2; export $1"
}

_mb_set_variables() {
    # Remove what an earlier activation has set, and the image's entries for processes that are not activated.
    case :${PATH-}:${LD_LIBRARY_PATH-}:${LIBRARY_PATH-}:${CMAKE_LIBRARY_PATH-}:${CPATH-}:${CUDA_HOME-}:${CUDNN_HOME-} in
    */monobase/* | *:/usr/local/nvidia/* | *:"${VIRTUAL_ENV:-/dev/null}"/* | *:"${_mb_user_venv:-/dev/null}"/*) false ;;
    esac || _mb_do activation/former _mb_remove_former
    # The driver first, where NVIDIA's images and GKE have it. Then Torch's own libraries, before those of the toolkits: a
    # process can load one of each, and cuDNN loads its parts by name, from LD_LIBRARY_PATH first.
    _mb_libraries=${_mb_compat:+$_mb_compat:}/usr/local/nvidia/lib64:/usr/local/nvidia/lib _mb_link='' _mb_include=''
    _mb_torch_home=$_mb_environment/$_mb_packages _mb_other=${_mb_user_venv:-/dev/null}/$_mb_packages
    if [ -d "$_mb_other/nvidia" ] || [ -d "$_mb_other/torch/lib" ]; then
        _mb_do activation/libraries _mb_list_libraries_of_both
    else
        for _mb_item in "$_mb_torch_home"/nvidia/*/lib; do
            [ ! -d "$_mb_item" ] || _mb_libraries=$_mb_libraries:$_mb_item
        done
    fi
    if [ -n "$_mb_cuda_home" ]; then
        _mb_libraries=$_mb_libraries:$_mb_cuda_home/lib64
        _mb_link=:$_mb_cuda_home/lib64 _mb_include=:$_mb_cuda_home/include
        [ ! -d "$_mb_cuda_home/lib64/stubs" ] || _mb_link=$_mb_link:$_mb_cuda_home/lib64/stubs
        [ -z "$_mb_build" ] || _mb_do activation/libraries _mb_compare_cudas
    fi
    # One version of cuDNN is one inode, as the installer links it.
    _mb_item=lib/libcudnn.so.${_mb_cudnn%%.*}
    if [ "$_mb_torch_home/nvidia/cudnn/$_mb_item" -ef "${_mb_cudnn_home:-/dev/null}/$_mb_item" ]; then
        _mb_link=$_mb_link:$_mb_cudnn_home/lib _mb_include=$_mb_include:$_mb_cudnn_home/include
    elif [ -n "$_mb_cudnn_home" ]; then
        _mb_do activation/libraries _mb_choose_cudnn
    fi
    _mb_item=${_mb_user_venv:+$_mb_user_venv/bin:}$_mb_environment/bin${_mb_cuda_home:+:$_mb_cuda_home/bin}
    _mb_set PATH "$_mb_item:/usr/local/nvidia/bin${PATH:+:$PATH}"
    _mb_set LD_LIBRARY_PATH "$_mb_libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    _mb_set LIBRARY_PATH "${_mb_link:+${_mb_link#:}${LIBRARY_PATH:+:$LIBRARY_PATH}}"
    _mb_set CPATH "${_mb_include:+${_mb_include#:}${CPATH:+:$CPATH}}"
    _mb_set CUDA_HOME "$_mb_cuda_home" && _mb_set CUDA_PATH "$_mb_cuda_home"
    _mb_set CUDNN_HOME "$_mb_cudnn_home" && _mb_set CUDNN_PATH "$_mb_cudnn_home" && _mb_set MONOBASE_CUDA_COMPAT "$_mb_compat"
    _mb_set VIRTUAL_ENV "${_mb_user_venv:-$_mb_environment}" && _mb_set MONOBASE_ENVIRONMENT "$_mb_environment"
    [ -z "${PYTHONHOME+set}" ] || _mb_do activation/former _mb_unset_python_home
    # In busybox, -w is true for root on any mount. Opening for appending changes nothing, and fails on a read-only one.
    { [ -w "$_mb_environment" ] && { { :; } >>"$_mb_environment/pyvenv.cfg"; } 2>/dev/null; } ||
        _mb_set PYTHONDONTWRITEBYTECODE "${PYTHONDONTWRITEBYTECODE:-1}"
    # A user name and a folder for caches, if the container lacks them. (root has a name.)
    if [ -z "${LOGNAME-}${USER-}${LNAME-}${USERNAME-}" ]; then
        { while read -r _mb_item _mb_two _mb_uid _mb_kind && [ "$_mb_item" != Uid: ]; do :; done; } 2>/dev/null </proc/self/status
        { [ "$_mb_uid" = 0 ] && [ -r /etc/passwd ]; } || _mb_do activation/user _mb_set_user
    fi
    [ -z "${MONOBASE_COMPILE_CACHE-}" ] || _mb_do activation/compile_cache _mb_set_compile_cache
    { [ -w "${HOME:-/dev/null}/." ] && [ -w "${TMPDIR:-/tmp}/." ]; } || _mb_do activation/caches _mb_set_caches
}

_mb_activate() {
    [ -z "${BASH_VERSION-}${ZSH_VERSION-}" ] || _mb_do activation/modes _mb_enter_modes || return
    _mb_take_settings || return
    _mb_find || _mb_do activation/search _mb_wait "$?" || return
    [ -z "$_mb_user_venv" ] || _mb_is_prepared || _mb_do activation/user_venv _mb_prepare_user_venv || return
    _mb_set_variables
    _mb_log info "activated $_mb_generation_found/$_mb_name${_mb_user_venv:+ under $_mb_user_venv}"
}

_mb_options=$- _mb_ifs_set=${IFS+set} _mb_ifs=${IFS-}
IFS=' 	'
set +f
_mb_here=${_mb_home:+$_mb_home/activate.sh} _mb_read=' ' _mb_functions='' _mb_variables='' _mb_leave=: _mb_uid=''
_mb_activate && _mb_code=0 || _mb_code=$?
"$_mb_leave"
case $_mb_options in *f*) set -f ;; esac
[ -z "$_mb_ifs_set" ] || IFS=$_mb_ifs
# Leave nothing behind. (exec, which has set _mb_home, needs the folder of the generation for the lease.)
[ -n "${_mb_home+set}" ] || unset _mb_folder
eval "unset -f _mb_activate _mb_do _mb_find _mb_is_prepared _mb_log _mb_read_file _mb_runs_on_driver _mb_runs_on_machine _mb_set \
    _mb_set_variables _mb_take_settings _mb_take_version $_mb_functions
unset _mb_build _mb_choice _mb_code _mb_compat _mb_cuda _mb_cuda_home _mb_cuda_two _mb_cudnn _mb_cudnn_home _mb_environment \
    _mb_fit _mb_format _mb_found _mb_functions _mb_generation _mb_generation_found _mb_generations _mb_here _mb_ifs _mb_ifs_set \
    _mb_include _mb_item _mb_kind _mb_leave _mb_libraries _mb_link _mb_log_level _mb_name _mb_options _mb_other _mb_packages \
    _mb_platform _mb_prefix _mb_python_two _mb_read _mb_state _mb_torch _mb_torch_home _mb_two _mb_uid _mb_user_venv \
    _mb_variables _mb_wait_s _mb_zsh $_mb_variables
return $_mb_code"
