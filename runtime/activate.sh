# shellcheck shell=sh
# Activates the environment that PYTHON_VERSION, TORCH_VERSION, CUDA_VERSION and CUDNN_VERSION name:
#
#     . /opt/monobase/activate.sh
#
# README.md beside this file is for its users. For its authors:
#
# - It runs in the caller's shell, which may be dash, bash, busybox ash or zsh, with any options. So: POSIX sh; every name
#   begins with _mb_ and is unset at the end; a failure returns, it never exits; stdout is not ours.
# - It runs at every container start. So the way without errors starts no process and reads little: where the folder
#   that the variables name is there, it is complete (folders appear by one rename), and nothing else need be read. The
#   list of what the generation offers is for all other cases: `read` costs some shells a system call for each byte.
# - Variables of the caller are changed at the very end, when nothing can fail any more.

# zsh reads a file by the options of the caller, some of which (cshjunkiequotes) make another file of it: once more, as sh.
if [ -n "${ZSH_VERSION-}" ] && [ -z "${_mb_zsh-}" ]; then
    eval '_mb_zsh=${(%):-%x}'
    # shellcheck disable=SC2016 # it is expanded when it is read
    emulate sh -c '. "$_mb_zsh"'
    return $?
fi

_mb_log() { # LEVEL TEXT
    case $_mb_log_level:$1 in
    debug:* | info:info | info:warning | warning:warning)
        _mb_show_controls "$2"
        printf 'monobase: %s: %s\n' "$1" "$_mb_shown" >&2
        ;;
    esac
}

_mb_fail() { # EXIT_CODE SUMMARY [LINE ...]: whatever the level
    _mb_code=$1
    _mb_show_invisible "$2"
    _mb_summary=$_mb_shown
    printf 'monobase: error: %s\n' "$_mb_summary" >&2
    shift 2
    for _mb_line in "$@"; do
        _mb_show_invisible "$_mb_line"
        printf '    %s\n' "$_mb_shown" >&2
    done
    case $_mb_summary in
    *\\r*)
        printf '    %s\n' 'The \r is a carriage return: a file of variables with Windows line ends (CRLF) leaves one after each value.' >&2
        ;;
    *\\u[0-9a-f][0-9a-f][0-9a-f][0-9a-f]* | *\\[0-7][0-7][0-7]* | *\\[nt]*)
        printf '    %s\n' 'What begins with a backslash is a character that cannot be seen: type the value anew, without it.' >&2
        ;;
    esac
    return "$_mb_code"
}

_mb_show_controls() { # TEXT: sets _mb_shown to the text with its control characters written out
    _mb_shown=$1
    case $1 in *[[:cntrl:]]*) ;; *) return 0 ;; esac
    _mb_todo=$1
    _mb_shown=
    while [ -n "$_mb_todo" ]; do
        _mb_rest=${_mb_todo#?}
        _mb_char=${_mb_todo%"$_mb_rest"}
        _mb_todo=$_mb_rest
        case $_mb_char in
        [[:cntrl:]])
            _mb_char=$(printf '%03o' "'$_mb_char")
            case $_mb_char in 011) _mb_char=t ;; 012) _mb_char=n ;; 015) _mb_char=r ;; esac
            _mb_char="\\$_mb_char"
            ;;
        esac
        _mb_shown=$_mb_shown$_mb_char
    done
}

_mb_show_invisible() { # TEXT: the same for what Unicode has of the kind; for messages only, as it starts a process
    _mb_show_controls "$1"
    case $_mb_shown in *[![:print:]]* | *[!\ -~]*) ;; *) return 0 ;; esac
    if [ -z "${_mb_invisible-}" ]; then
        _mb_invisible=$(printf '%b' '\0302\0240=00a0 \0302\0255=00ad \0343\0200\0200=3000 \0342\0201\0240=2060 \0357\0273\0277=feff')
        _mb_invisible="$_mb_invisible $(printf '%b' '\0342\0200\0207=2007 \0342\0200\0211=2009 \0342\0200\0213=200b \0342\0200\0214=200c')"
        _mb_invisible="$_mb_invisible $(printf '%b' '\0342\0200\0215=200d \0342\0200\0216=200e \0342\0200\0217=200f \0342\0200\0257=202f')"
    fi
    for _mb_char in $_mb_invisible; do
        _mb_code_point=${_mb_char#*=}
        _mb_char=${_mb_char%%=*}
        while :; do
            case $_mb_shown in
            *"$_mb_char"*) _mb_shown="${_mb_shown%%"$_mb_char"*}\\u$_mb_code_point${_mb_shown#*"$_mb_char"}" ;;
            *) break ;;
            esac
        done
    done
}

# --- what was asked ---------------------------------------------------------------------------------------------------

_mb_check_path() { # VARIABLE VALUE
    case $2 in
    *[[:cntrl:]]*) _mb_fail 64 "$1=$2 holds a control character, which no path of ours may." "Write it without." ;;
    *:*) _mb_fail 64 "$1=$2 holds a colon, which no search path can carry." "Use another folder." ;;
    /*) ;;
    *) _mb_fail 64 "$1=$2 is not an absolute path." "Write it from the root, such as /srv/r8/monobase." ;;
    esac
}

_mb_check_version() { # VARIABLE VALUE EXAMPLE
    case $2 in
    *[[:space:]]*)
        _mb_fail 64 "$1='$2' is not a version: it holds a blank." "Write numbers with dots between them, such as $1=$3."
        ;;
    *[!0-9A-Za-z.+_-]* | [!0-9]* | *..* | *.)
        _mb_fail 64 "$1=$2 is not a version." "Write numbers with dots between them, such as $1=$3."
        ;;
    *.*) ;;
    *)
        if [ "$1" != CUDNN_VERSION ]; then
            _mb_fail 64 "$1=$2 is too short for a version." "Write at least as much as $1=$3."
        fi
        ;;
    esac
}

_mb_check_number() { # VARIABLE VALUE WHAT MOST ADVICE: sets _mb_number to the value without leading zeros
    case $2 in
    '' | *[!0123456789]*)
        _mb_fail 64 "$1=$2 is not $3." "$5"
        return $?
        ;;
    esac
    _mb_number=$2
    while [ "${#_mb_number}" -gt 1 ] && [ "$_mb_number" != "${_mb_number#0}" ]; do
        _mb_number=${_mb_number#0}
    done
    # Longer ones are beyond what a shell can count to.
    if [ "${#_mb_number}" -gt 9 ] || [ "$_mb_number" -gt "$4" ]; then
        _mb_fail 64 "$1=$2 is too large: the most is $4." "$5"
    fi
}

_mb_two_numbers() { # VERSION: sets _mb_two to its first two numbers
    _mb_two=${1#*.}
    _mb_two=${1%%.*}.${_mb_two%%.*}
}

_mb_read_settings() {
    _mb_log_level=${MONOBASE_LOG_LEVEL:-warning}
    case $_mb_log_level in
    debug | info | warning | error) ;;
    *)
        _mb_log_level=warning
        _mb_log warning "MONOBASE_LOG_LEVEL=$MONOBASE_LOG_LEVEL is none of debug, info, warning, error; taking warning"
        ;;
    esac

    _mb_prefix=${MONOBASE_PREFIX:-/srv/r8/monobase}
    _mb_check_path MONOBASE_PREFIX "$_mb_prefix" || return $?
    _mb_without_slashes "$_mb_prefix"
    _mb_prefix=$_mb_item

    _mb_check_number MONOBASE_WAIT_S "${MONOBASE_WAIT_S:-0}" "a number of seconds" 9999999 \
        "Write a whole number, such as MONOBASE_WAIT_S=600; 0 or nothing for not waiting." || return $?
    _mb_wait_s=$_mb_number

    # exec takes the lease; a value that it would not take for one is told wherever it stands.
    case ${MONOBASE_LEASE:-0} in
    0 | 1) ;;
    *)
        _mb_fail 64 "MONOBASE_LEASE=$MONOBASE_LEASE is neither 1 nor 0." \
            "Write MONOBASE_LEASE=1 to keep the generation from being pruned while the model runs; 0 or nothing for not."
        return $?
        ;;
    esac

    # 3, 00003 and g00003 are one generation; empty is the latest.
    _mb_generation=${MONOBASE_GEN_ID:-latest}
    if [ "$_mb_generation" != latest ]; then
        _mb_generation=${_mb_generation#g}
        _mb_check_number MONOBASE_GEN_ID "$_mb_generation" "the number of a generation" 999999999 \
            "Write a number, such as MONOBASE_GEN_ID=3; unset it for the latest." || return $?
        _mb_generation=$_mb_number
        while [ "${#_mb_generation}" -lt 5 ]; do
            _mb_generation=0$_mb_generation
        done
        _mb_generation=g$_mb_generation
    fi

    _mb_python=${PYTHON_VERSION-}
    _mb_torch=${TORCH_VERSION-}
    _mb_cuda=${CUDA_VERSION-}
    _mb_cudnn=${CUDNN_VERSION-}
    _mb_cuda_decided_by="CUDA_VERSION=$_mb_cuda"
    if [ -z "$_mb_python" ]; then
        _mb_fail 64 "PYTHON_VERSION is not set." "Set it to the Python that the model needs, such as PYTHON_VERSION=3.11."
        return $?
    fi
    _mb_check_version PYTHON_VERSION "$_mb_python" 3.11 || return $?
    _mb_two_numbers "$_mb_python"
    _mb_name=python$_mb_two
    _mb_python_two=$_mb_two
    if [ -n "$_mb_cuda" ]; then
        _mb_check_version CUDA_VERSION "$_mb_cuda" 12.4 || return $?
    fi
    _mb_build=
    if [ -n "$_mb_torch" ]; then
        _mb_check_version TORCH_VERSION "$_mb_torch" 2.4.1 || return $?
        case $_mb_torch in
        *+*)
            # torch.__version__ says 2.4.1+cu121: taken as the build, whatever CUDA_VERSION an image sets
            _mb_build=${_mb_torch#*+}
            _mb_torch=${_mb_torch%%+*}
            _mb_build_cuda=${_mb_build#cu}
            case $_mb_build_cuda in
            "$_mb_build" | '' | ? | *[!0-9]*) ;;
            *)
                _mb_build_cuda=${_mb_build_cuda%?}.${_mb_build_cuda#"${_mb_build_cuda%?}"}
                _mb_cuda_decided_by="TORCH_VERSION=$TORCH_VERSION"
                if [ -z "$_mb_cuda" ]; then
                    _mb_cuda=$_mb_build_cuda
                elif [ "${_mb_cuda%%.*}" != "${_mb_build_cuda%%.*}" ]; then
                    _mb_fail 64 "TORCH_VERSION=$TORCH_VERSION and CUDA_VERSION=$CUDA_VERSION contradict each other." \
                        "A Torch built for CUDA ${_mb_build_cuda%%.*} cannot be used with a toolkit of CUDA ${_mb_cuda%%.*}." \
                        "Drop the part after the + and let CUDA_VERSION decide, or unset CUDA_VERSION."
                    return $?
                fi
                ;;
            esac
            ;;
        esac
        if [ -n "$_mb_build" ]; then
            _mb_name=$_mb_name-torch$_mb_torch-$_mb_build
        elif [ -n "$_mb_cuda" ]; then
            _mb_two_numbers "$_mb_cuda"
            _mb_name=$_mb_name-torch$_mb_torch-cu${_mb_two%%.*}${_mb_two#*.}
        else
            _mb_name=$_mb_name-torch$_mb_torch-cpu
        fi
    fi
    _mb_cuda_two=
    if [ -n "$_mb_cuda" ]; then
        _mb_two_numbers "$_mb_cuda"
        _mb_cuda_two=$_mb_two
    fi
    if [ -n "$_mb_cudnn" ]; then
        _mb_check_version CUDNN_VERSION "$_mb_cudnn" 9 || return $?
        # With Torch, the build that is found may say which CUDA it is.
        if [ -z "$_mb_cuda$_mb_torch" ]; then
            _mb_refuse_cudnn_alone
            return $?
        fi
    fi

    # A virtual environment of the user: named, or the one that the image has activated.
    if [ -n "${MONOBASE_USER_VENV+set}" ]; then
        _mb_user_venv=$MONOBASE_USER_VENV
    else
        _mb_user_venv=${VIRTUAL_ENV-}
        if _mb_is_ours "$_mb_user_venv" || [ ! -f "$_mb_user_venv/pyvenv.cfg" ]; then
            _mb_user_venv=
        fi
    fi
    if [ -n "$_mb_user_venv" ]; then
        _mb_item=VIRTUAL_ENV
        if [ -n "${MONOBASE_USER_VENV+set}" ]; then
            _mb_item=MONOBASE_USER_VENV
        fi
        _mb_check_path "$_mb_item" "$_mb_user_venv" || return $?
        _mb_found=$_mb_item
        _mb_without_slashes "$_mb_user_venv"
        _mb_user_venv=$_mb_item
        case $_mb_user_venv/ in
        // | "$_mb_prefix"/*)
            _mb_fail 64 "$_mb_found=$_mb_user_venv cannot be a venv on top: it is the root folder, or lies in the prefix $_mb_prefix." \
                "Name a folder of the model's own, such as $_mb_found=/opt/venv."
            return $?
            ;;
        esac
    fi
}

_mb_refuse_readonly() { # dash and busybox end at such an assignment; others say so, and go on
    for _mb_item in PATH LD_LIBRARY_PATH LIBRARY_PATH CPATH CUDA_HOME CUDA_PATH CUDNN_HOME CUDNN_PATH VIRTUAL_ENV; do
        if eval "[ -n \"\${$_mb_item+set}\" ]" && ! eval "$_mb_item=\$$_mb_item"; then
            _mb_fail 64 "$_mb_item cannot be set: it is read-only (readonly, or a restricted shell)." \
                "Start from a shell in which it is not, or let exec start the command."
            return $?
        fi
    done
}

_mb_without_slashes() { # PATH: sets _mb_item to it without slashes at its end, but for the root folder's
    _mb_item=$1
    while [ "${#_mb_item}" -gt 1 ] && [ "$_mb_item" != "${_mb_item%/}" ]; do
        _mb_item=${_mb_item%/}
    done
}

_mb_refuse_cudnn_alone() {
    _mb_fail 64 "CUDNN_VERSION=$_mb_cudnn is set without CUDA_VERSION." \
        "There is a cuDNN for each CUDA: set CUDA_VERSION too, such as CUDA_VERSION=12.4, or unset CUDNN_VERSION."
}

_mb_is_ours() { # PATH: whether an activation, of whatever prefix, put it into a variable
    case $1 in
    */monobase/g[0-9][0-9][0-9][0-9][0-9]*/*) return 0 ;;
    esac
    return 1
}

# --- where it is ------------------------------------------------------------------------------------------------------

# Each _mb_find_ function returns 0 when it found its part, 75 when that may still come (_mb_lack says what it waits
# for), and the exit code, with the message printed, when it will not.

_mb_find() {
    if [ -n "$_mb_only_build" ]; then
        _mb_only_build='' _mb_build='' _mb_cuda='' _mb_cuda_two=''
    fi
    _mb_find_generation || return $?
    _mb_find_environment || return $?
    _mb_cuda_home=
    _mb_cudnn_home=
    if [ -n "$_mb_cudnn" ] && [ -z "$_mb_cuda" ]; then
        _mb_refuse_cudnn_alone
        return $?
    fi
    if [ -n "$_mb_cuda" ]; then
        _mb_find_toolkit cuda "cuda$_mb_cuda_two" || return $?
        _mb_cuda_home=$_mb_toolkit
    fi
    if [ -n "$_mb_cudnn" ]; then
        _mb_find_toolkit cudnn "cudnn${_mb_cudnn%%.*}-cuda${_mb_cuda%%.*}" || return $?
        _mb_cudnn_home=$_mb_toolkit
    fi
}

_mb_find_generation() {
    if [ ! -d "$_mb_prefix" ]; then
        _mb_item=" is not set"
        if [ -n "${MONOBASE_PREFIX-}" ]; then
            _mb_item="=$MONOBASE_PREFIX"
        fi
        _mb_fail 66 "the prefix is not mounted: there is no folder $_mb_prefix (MONOBASE_PREFIX$_mb_item)." \
            "Mount the node's prefix there, read-only (Kubernetes: a hostPath volume), or name the right folder in MONOBASE_PREFIX."
        return $?
    fi
    _mb_generations=${_mb_prefix%/}/monobase
    _mb_folder=$_mb_generations/$_mb_generation
    if [ "$_mb_generation" = latest ] && [ ! -e "$_mb_folder" ]; then
        # Nothing is sealed yet: the newest that there is; its environments are complete one by one.
        for _mb_item in "$_mb_generations"/g[0-9][0-9][0-9][0-9][0-9]*; do
            [ -d "$_mb_item" ] && _mb_folder=$_mb_item
        done
    fi
    if [ ! -r "$_mb_folder/environments" ]; then
        _mb_lack=generation
        return 75
    fi
    { read -r _mb_kind _mb_format && read -r _mb_item _mb_found _mb_state; } <"$_mb_folder/environments" || _mb_kind=
    case ${_mb_format-} in '' | *[!0123456789]*) _mb_kind= ;; esac
    if [ "$_mb_kind" = monobase-environments ] && [ "$_mb_format" = 1 ]; then
        case $_mb_item:${_mb_found#g} in generation:*[!0123456789]* | generation:) _mb_item= ;; esac
        [ "$_mb_item" = generation ] || _mb_kind=
    fi
    if [ "$_mb_kind" != monobase-environments ]; then
        _mb_fail 72 "$_mb_folder/environments is damaged: it does not begin like a list of environments." \
            "On the node, \`monobase verify --repair\` writes the file anew."
        return $?
    fi
    if [ "$_mb_format" != 1 ]; then
        _mb_fail 72 "$_mb_folder/environments has format $_mb_format, and this runtime reads format 1." \
            "Take a runtime as new as the installer of the node."
        return $?
    fi
    _mb_folder=$_mb_generations/$_mb_found
    _mb_generation_found=$_mb_found
}

_mb_find_environment() {
    if [ ! -d "$_mb_folder/$_mb_name" ]; then
        _mb_scan environment
        if [ "$_mb_state" = none ] && [ -n "$_mb_torch" ] && [ -z "$_mb_cuda$_mb_build" ]; then
            _mb_take_the_only_build
        fi
        case $_mb_state in
        none)
            _mb_refuse_environment
            return $?
            ;;
        missing)
            _mb_lack=$_mb_found
            return 75
            ;;
        esac
        _mb_name=$_mb_found
    fi
    _mb_environment=$_mb_folder/$_mb_name
    if [ ! -x "$_mb_environment/bin/python" ]; then
        _mb_fail 72 "$_mb_environment has no Python that runs: its bin/python leads nowhere, or to what this user may not run." \
            "Is the prefix mounted at the same path as on the node? An environment names its interpreter by absolute path." \
            "If it is, run the installer's verify on the node."
        return $?
    fi
}

_mb_take_the_only_build() { # the one build of this Torch and Python, where CUDA_VERSION names none and it is not cpu's
    _mb_only_cuda=
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 || [ -n "$_mb_kind" ]; do
        if [ "$_mb_kind" != environment ] || ! _mb_fits "$_mb_python" "$_mb_1" || ! _mb_fits "$_mb_torch" "$_mb_3"; then
            continue
        fi
        if [ -n "$_mb_only_build" ] || [ "$_mb_4" = cpu ]; then
            _mb_only_build=
            return 0
        fi
        _mb_only_build=$_mb_4
        _mb_only_cuda=$_mb_5
        _mb_only_found="$_mb_ready $_mb_item $_mb_1"
    done <"$_mb_folder/environments"
    [ -n "$_mb_only_build" ] || return 0
    _mb_state=${_mb_only_found%% *}
    _mb_found=${_mb_only_found#* }
    _mb_python_two=${_mb_found#* }
    _mb_found=${_mb_found% *}
    _mb_build=$_mb_only_build
    if [ "$_mb_only_cuda" != - ]; then
        _mb_cuda=$_mb_only_cuda
        _mb_cuda_two=$_mb_only_cuda
        _mb_cuda_decided_by="the only build of Torch $_mb_torch for Python $_mb_python_two, $_mb_build"
    fi
    _mb_log info "CUDA_VERSION is not set; taking $_mb_build, the only build of Torch $_mb_torch for Python $_mb_python_two"
}

_mb_find_toolkit() { # KIND NAME: sets _mb_toolkit
    _mb_toolkit=$_mb_folder/$2
    [ -d "$_mb_toolkit" ] && return 0
    _mb_scan "$1"
    case $_mb_state in
    ready)
        _mb_toolkit=$_mb_folder/$_mb_found
        [ -d "$_mb_toolkit" ] && return 0
        _mb_fail 72 "$_mb_toolkit is listed as ready, and is not there." "Run the installer's verify on the node."
        return $?
        ;;
    missing)
        if [ "$1" = cuda ] && [ -n "$_mb_only_build" ]; then
            # Nobody asked for it: it is taken along where it is there.
            _mb_log info "$_mb_found of $_mb_generation_found is not installed yet; going on without it"
            _mb_toolkit=
            return 0
        fi
        if [ -z "$_mb_torch" ] || [ "$_mb_waited_s" -lt "$_mb_wait_s" ]; then
            _mb_lack=$_mb_found
            return 75
        fi
        # Torch brings the libraries that it runs with; what is lacking is for builds.
        _mb_log warning "$_mb_found of $_mb_generation_found is not installed yet; going on without it (no CUDA extension can be built)"
        ;;
    none)
        if [ "$1" = cuda ] && [ -n "$_mb_torch" ]; then
            _mb_log info "$_mb_generation_found has no toolkit of CUDA $_mb_cuda_two; going on with the libraries that Torch brings"
        else
            _mb_refuse_toolkit "$1"
            return $?
        fi
        ;;
    esac
    _mb_toolkit=
}

_mb_fits() { # VALUE OFFERED: whether the value is what is offered, or longer
    case $1 in
    "$2" | "$2".*) return 0 ;;
    esac
    return 1
}

_mb_fits_build() { # BUILD CUDA: whether a build is the one that was asked for
    if [ -n "$_mb_build" ]; then
        [ "$1" = "$_mb_build" ]
    elif [ -n "$_mb_cuda" ]; then
        _mb_fits "$_mb_cuda" "$2"
    else
        [ "$1" = cpu ]
    fi
}

_mb_scan() { # KIND: looks in the generation's list; sets _mb_state to ready, missing or none, and _mb_found to the name
    _mb_state=none
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 || [ -n "$_mb_kind" ]; do
        [ "$_mb_kind" = "$1" ] || continue
        case $_mb_kind in
        environment)
            _mb_fits "$_mb_python" "$_mb_1" || continue
            if [ -z "$_mb_torch" ]; then
                [ "$_mb_3" = - ] || continue
            else
                [ "$_mb_3" != - ] || continue
                _mb_fits "$_mb_torch" "$_mb_3" || continue
                _mb_fits_build "$_mb_4" "$_mb_5" || continue
            fi
            _mb_python_two=$_mb_1
            ;;
        cuda) _mb_fits "$_mb_cuda" "$_mb_1" || continue ;;
        cudnn)
            _mb_fits "$_mb_cudnn" "$_mb_1" || continue
            [ "$_mb_3" = "${_mb_cuda%%.*}" ] || continue
            ;;
        esac
        _mb_state=$_mb_ready
        _mb_found=$_mb_item
        break
    done <"$_mb_folder/environments"
}

# --- why it is not there ----------------------------------------------------------------------------------------------

_mb_add() { # LIST_NAME ITEM: adds an item to a comma-separated list, once
    eval "_mb_item=\${$1}"
    case ", $_mb_item, " in
    *", $2, "*) ;;
    *) eval "$1=\${_mb_item:+\$_mb_item, }\$2" ;;
    esac
}

_mb_ask() { # sets _mb_asked to the question in the caller's own words
    _mb_asked="generation $_mb_generation_found ("
    if [ -n "${MONOBASE_GEN_ID-}" ]; then
        _mb_asked="${_mb_asked}MONOBASE_GEN_ID=$MONOBASE_GEN_ID)"
    else
        _mb_asked="${_mb_asked}MONOBASE_GEN_ID not set: the latest)"
    fi
    _mb_asked="$_mb_asked, PYTHON_VERSION=$PYTHON_VERSION"
    for _mb_item in TORCH_VERSION CUDA_VERSION CUDNN_VERSION; do
        eval "_mb_found=\${$_mb_item-}"
        if [ -n "$_mb_found" ]; then
            _mb_asked="$_mb_asked, $_mb_item=$_mb_found"
        else
            _mb_asked="$_mb_asked, no $_mb_item"
        fi
    done
}

_mb_refuse_environment() {
    _mb_pythons='' _mb_torches='' _mb_builds=''
    _mb_pythons_of_torch='' _mb_torches_of_python='' _mb_near_build='' _mb_near_torch='' _mb_near_python=''
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 || [ -n "$_mb_kind" ]; do
        if [ "$_mb_kind" = python ]; then
            _mb_add _mb_pythons "$_mb_item"
        fi
        if [ "$_mb_kind" != environment ] || [ "$_mb_3" = - ]; then
            continue
        fi
        _mb_offer="CUDA_VERSION=$_mb_5"
        if [ "$_mb_5" = - ]; then
            _mb_offer="no CUDA_VERSION (the $_mb_4 build)"
        fi
        _mb_add _mb_torches "$_mb_3"
        _mb_add _mb_builds "$_mb_offer"
        _mb_same=
        _mb_fits "$_mb_python" "$_mb_1" && _mb_same=p
        _mb_fits "$_mb_torch" "$_mb_3" && _mb_same=${_mb_same}t
        _mb_fits_build "$_mb_4" "$_mb_5" && _mb_same=${_mb_same}b
        case $_mb_same in *t*) _mb_add _mb_pythons_of_torch "$_mb_1" ;; esac
        case $_mb_same in p*) _mb_add _mb_torches_of_python "$_mb_3" ;; esac
        case $_mb_same in
        pt) _mb_add _mb_near_build "$_mb_offer" ;;
        pb) _mb_add _mb_near_torch "$_mb_3" ;;
        tb) _mb_add _mb_near_python "$_mb_1" ;;
        esac
    done <"$_mb_folder/environments"

    _mb_python_known=
    _mb_two_numbers "$_mb_python"
    case ", $_mb_pythons, " in *", $_mb_two, "*) _mb_python_known=yes ;; esac
    if [ -z "$_mb_python_known" ]; then
        _mb_why="has no Python $_mb_two"
        _mb_by="PYTHON_VERSION=$PYTHON_VERSION"
    elif [ -z "$_mb_torch" ]; then
        _mb_why="has no environment of Python $_mb_two without Torch"
        _mb_by="TORCH_VERSION, which is not set"
    elif [ -z "$_mb_pythons_of_torch" ]; then
        _mb_why="has no Torch $_mb_torch"
        _mb_by="TORCH_VERSION=$TORCH_VERSION"
    elif [ -z "$_mb_near_build" ]; then
        _mb_why="has no Torch $_mb_torch for Python $_mb_two"
        _mb_by="PYTHON_VERSION=$PYTHON_VERSION with TORCH_VERSION=$TORCH_VERSION"
    elif [ -n "$_mb_build" ]; then
        _mb_why="has no $_mb_build build of Torch $_mb_torch for Python $_mb_two"
        _mb_by="TORCH_VERSION=$TORCH_VERSION"
    elif [ -n "$_mb_cuda" ]; then
        _mb_why="has no build of Torch $_mb_torch for CUDA $_mb_cuda_two and Python $_mb_two"
        _mb_by="CUDA_VERSION=$CUDA_VERSION"
    else
        _mb_why="has no CPU build of Torch $_mb_torch for Python $_mb_two"
        _mb_by="CUDA_VERSION, which is not set"
    fi

    _mb_ask
    set -- "asked for: $_mb_asked" "decided by: $_mb_by"
    [ -z "$_mb_near_build" ] || set -- "$@" "same Python and Torch: $_mb_near_build"
    [ -z "$_mb_near_torch" ] || set -- "$@" "same Python and CUDA: TORCH_VERSION=$_mb_near_torch"
    [ -z "$_mb_near_python" ] || set -- "$@" "same Torch and CUDA: PYTHON_VERSION=$_mb_near_python"
    if [ -n "$_mb_torch" ] && [ -z "$_mb_near_build$_mb_near_torch$_mb_near_python" ]; then
        [ -z "$_mb_torches_of_python" ] || set -- "$@" "same Python: TORCH_VERSION=$_mb_torches_of_python"
        [ -z "$_mb_pythons_of_torch" ] || set -- "$@" "same Torch: PYTHON_VERSION=$_mb_pythons_of_torch"
    fi
    # What was asked for may stand in another generation.
    _mb_elsewhere=
    for _mb_other in "$_mb_generations"/g[0-9][0-9][0-9][0-9][0-9]*; do
        if [ "$_mb_other" != "$_mb_folder" ] && [ -d "$_mb_other/$_mb_name" ]; then
            _mb_other=${_mb_other##*/g}
            while [ "${#_mb_other}" -gt 1 ] && [ "$_mb_other" != "${_mb_other#0}" ]; do
                _mb_other=${_mb_other#0}
            done
            _mb_add _mb_elsewhere "MONOBASE_GEN_ID=$_mb_other"
        fi
    done
    [ -z "$_mb_elsewhere" ] || set -- "$@" "the same in another generation: $_mb_elsewhere"
    set -- "$@" "$_mb_generation_found offers Python $_mb_pythons; Torch ${_mb_torches:-(none)}; with ${_mb_builds:-(no build)}"
    _mb_fail 69 "generation $_mb_generation_found $_mb_why." "$@"
}

_mb_refuse_toolkit() { # KIND
    _mb_cudas='' _mb_cudnns=''
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 || [ -n "$_mb_kind" ]; do
        case $_mb_kind in
        cuda) _mb_add _mb_cudas "CUDA_VERSION=$_mb_1" ;;
        cudnn) _mb_add _mb_cudnns "CUDNN_VERSION=$_mb_1 with CUDA $_mb_3" ;;
        esac
    done <"$_mb_folder/environments"
    _mb_ask
    if [ "$1" = cuda ]; then
        _mb_fail 69 "generation $_mb_generation_found has no toolkit of CUDA $_mb_cuda_two." "asked for: $_mb_asked" \
            "decided by: $_mb_cuda_decided_by" "$_mb_generation_found offers ${_mb_cudas:-no CUDA toolkit}" \
            "For Python without CUDA, unset CUDA_VERSION (an image that this one builds on may set it)."
    else
        _mb_fail 69 "generation $_mb_generation_found has no cuDNN ${_mb_cudnn%%.*} for CUDA ${_mb_cuda%%.*}." "asked for: $_mb_asked" \
            "decided by: CUDNN_VERSION=$_mb_cudnn with $_mb_cuda_decided_by" \
            "$_mb_generation_found offers ${_mb_cudnns:-no cuDNN}" \
            "Torch brings its own cuDNN: to run, not to build, unset CUDNN_VERSION."
    fi
}

_mb_refuse_to_wait_longer() {
    _mb_waited="MONOBASE_WAIT_S=SECONDS waits for it."
    if [ "$_mb_wait_s" -gt 0 ]; then
        _mb_waited="Waited $_mb_waited_s s (MONOBASE_WAIT_S=$_mb_wait_s)."
    fi
    if [ "$_mb_lack" != generation ]; then
        _mb_ask
        _mb_fail 75 "$_mb_lack of generation $_mb_generation_found is not installed yet on this node." "asked for: $_mb_asked" \
            "The installer may still be at work, or may have been told to leave it out (--only). $_mb_waited"
        return $?
    fi
    _mb_offer=
    for _mb_other in "$_mb_generations"/g[0-9][0-9][0-9][0-9][0-9]*; do
        [ -r "$_mb_other/environments" ] && _mb_add _mb_offer "${_mb_other##*/}"
    done
    if [ -z "$_mb_offer" ]; then
        _mb_fail 66 "there is no generation in $_mb_prefix (no $_mb_generations/latest)." \
            "Is this the node's prefix (MONOBASE_PREFIX), and has the installer begun on this node? $_mb_waited"
    else
        _mb_fail 68 "there is no generation $_mb_generation in $_mb_prefix (decided by: MONOBASE_GEN_ID=${MONOBASE_GEN_ID-})." \
            "this node has $_mb_offer" "Set MONOBASE_GEN_ID to one of them, unset it for the latest, or widen the installer's range. $_mb_waited"
    fi
}

# --- a virtual environment of the user on top ---------------------------------------------------------------------------

_mb_is_prepared() { # whether what prepare_venv.py wrote stands as it left it; it asks the same
    # The mark names the environment that this venv was prepared for: the rule from the second start on.
    _mb_item=
    if [ -r "$_mb_user_venv/.monobase" ]; then
        read -r _mb_format _mb_item <"$_mb_user_venv/.monobase" || _mb_item=
    fi
    [ "${_mb_format-} $_mb_item" = "2 $_mb_environment" ] || return 1
    # Links to all that an installer (`uv sync`) may have taken away since: the shell sees it without reading anything.
    for _mb_item in "$_mb_user_venv/.monobase-watched"/*; do
        [ -e "$_mb_item" ] || return 1
    done
    for _mb_item in "$_mb_user_venv/lib/python$_mb_python_two/site-packages"/nvidia/*/lib; do
        if [ -d "$_mb_item" ] && [ -d "$_mb_environment${_mb_item#"$_mb_user_venv"}" ]; then
            [ -e "$_mb_user_venv/.monobase-note" ]
            return $?
        fi
    done
}

# Finds the script where the shell cannot tell which file it reads (dash, busybox): it has it open.
_mb_finder='
import os, runpy, sys
here = ["/opt/monobase"]
try:
    opened = "/proc/%d/fd" % os.getppid()
    here = [os.path.dirname(os.readlink(os.path.join(opened, name))) for name in os.listdir(opened)] + here
except OSError:
    pass
for folder in here:
    script = os.path.join(folder, "prepare_venv.py")
    if os.path.isfile(script):
        sys.argv[0] = script
        runpy.run_path(script, run_name="__main__")
        break
else:
    sys.exit("monobase: error: there is no prepare_venv.py beside activate.sh")
'

_mb_prepare_user_venv() {
    _mb_is_prepared && return 0
    _mb_log info "preparing $_mb_user_venv to see the packages of $_mb_environment"
    _mb_item=${_mb_home-}
    if [ -z "$_mb_item" ]; then
        # shellcheck disable=SC2128,SC3028 # only bash has it; in a function its first element is the file of the function
        case ${_mb_zsh:-${BASH_VERSION:+${BASH_SOURCE-}}} in
        */*) _mb_item=${_mb_zsh:-$BASH_SOURCE} && _mb_item=${_mb_item%/*} ;;
        esac
    fi
    if [ -r "$_mb_item/prepare_venv.py" ]; then
        "$_mb_environment/bin/python" -I -B "$_mb_item/prepare_venv.py" "$_mb_user_venv" "$_mb_environment" >&2 || return 73
    else
        "$_mb_environment/bin/python" -I -B -c "$_mb_finder" "$_mb_user_venv" "$_mb_environment" >&2 || return 73
    fi
}

# --- setting the variables ----------------------------------------------------------------------------------------------

# shellcheck disable=SC2329 # _mb_set_list calls it through eval
_mb_rest_of() { # LIST: sets _mb_rest to `:LIST` less what an activation put there, or to nothing
    _mb_rest=
    [ -n "$1" ] || return 0
    _mb_todo=$1:
    while [ -n "$_mb_todo" ]; do
        _mb_item=${_mb_todo%%:*}
        _mb_todo=${_mb_todo#*:}
        case $_mb_item in
        */monobase/g[0-9][0-9][0-9][0-9][0-9]*/*) ;;
        /usr/local/nvidia/bin | /usr/local/nvidia/lib | /usr/local/nvidia/lib64) ;;
        # Launchers of what a toolkit may have: who looks for nvcc now finds it, or finds none.
        /opt/monobase/bin) ;;
        "${_mb_user_venv:-/dev/null}/bin" | "${_mb_user_venv:-/dev/null}"/lib/python*/nvidia/*/lib) ;;
        "${VIRTUAL_ENV:-/dev/null}/bin" | "${VIRTUAL_ENV:-/dev/null}"/lib/python*/nvidia/*/lib) ;;
        *) _mb_rest=$_mb_rest:$_mb_item ;;
        esac
    done
}

# The assignments stand apart from `export`: under bash's `set -k` what follows a command's name is no argument of it.

_mb_set() { # VARIABLE VALUE: exports a value; without one, takes back what an earlier activation set
    if [ -n "$2" ]; then
        eval "$1=\$2"
        export "${1?}"
    else
        eval "_mb_item=\${$1-}"
        if _mb_is_ours "$_mb_item"; then
            unset "$1"
        fi
    fi
}

_mb_set_list() { # VARIABLE OURS: exports our entries, then those that the caller had
    eval "_mb_rest_of \"\${$1-}\""
    _mb_item=$2$_mb_rest
    if [ -z "$2" ]; then
        _mb_item=${_mb_rest#:}
    fi
    if [ -n "$_mb_item" ]; then
        eval "$1=\$_mb_item"
        export "${1?}"
    else
        unset "$1"
    fi
}

_mb_set_default() { # VARIABLE VALUE: exports a value where the caller has none
    eval "_mb_item=\${$1-}"
    if [ -z "$_mb_item" ]; then
        eval "$1=\$2"
        export "${1?}"
    fi
}

_mb_list_libraries() { # sets _mb_libraries to the folders of the CUDA libraries that Torch's wheels bring, and _mb_torch_home
    _mb_libraries=
    # Torch finds what it is linked to by RPATH, beside itself, and nothing comes before that. So the side that has Torch
    # comes first, and of a library that both sides have only its folder is listed: the parts that cuDNN loads by name, even
    # ones that its own wheel lacks, are then of the version that Torch has loaded. cu13 and later hold all but cuDNN in one
    # folder, in which the other side may have further libraries.
    _mb_torch_home=$_mb_environment/$_mb_packages
    _mb_other=
    if [ -n "$_mb_user_venv" ]; then
        _mb_other=$_mb_user_venv/$_mb_packages
        if [ -d "$_mb_other/torch/lib" ]; then
            _mb_torch_home=$_mb_other
            _mb_other=$_mb_environment/$_mb_packages
        fi
    fi
    for _mb_item in "$_mb_torch_home"/nvidia/*/lib "${_mb_other:-/dev/null}"/nvidia/*/lib; do
        [ -d "$_mb_item" ] || continue
        case $_mb_item in
        "$_mb_torch_home"/* | */nvidia/cu[0-9]*/lib) ;;
        *) [ ! -d "$_mb_torch_home${_mb_item#"$_mb_other"}" ] || continue ;;
        esac
        _mb_libraries=$_mb_libraries:$_mb_item
    done
    if [ -n "$_mb_user_venv" ] && [ "$_mb_torch_home" != "$_mb_user_venv/$_mb_packages" ] && [ -s "$_mb_user_venv/.monobase-note" ]; then
        read -r _mb_item <"$_mb_user_venv/.monobase-note" || :
        _mb_log warning "Torch of the environment runs with its own $_mb_item; install Torch in $_mb_user_venv too to use those"
    fi
}

_mb_list_cudnn() { # adds the cuDNN of CUDNN_VERSION where it belongs
    _mb_torch_cudnn=
    for _mb_item in "$_mb_torch_home/nvidia/cudnn" "${_mb_other:-/dev/null}/nvidia/cudnn"; do
        if [ -z "$_mb_torch_cudnn" ] && [ -e "$_mb_item/lib/libcudnn.so.${_mb_cudnn%%.*}" ]; then
            _mb_torch_cudnn=$_mb_item
        fi
    done
    # A second cuDNN of one major version within reach would mix its parts with those of Torch's.
    if [ -z "$_mb_torch_cudnn" ] && [ ! -e "$_mb_torch_home/torch/lib/libcudnn.so.${_mb_cudnn%%.*}" ]; then
        _mb_libraries=$_mb_libraries:$_mb_cudnn_home/lib
    fi
    if [ -n "$_mb_torch_cudnn" ] && _mb_cudnns_differ; then
        if [ -e "$_mb_torch_cudnn/include/cudnn.h" ]; then
            # A build takes the headers and the library that it will run with. The toolkit has the name that a linker
            # looks for, libcudnn.so, which no wheel has.
            _mb_link=${_mb_link:+$_mb_link:}$_mb_torch_cudnn/lib
            _mb_include=${_mb_include:+$_mb_include:}$_mb_torch_cudnn/include
            _mb_log warning "cuDNN $_mb_cudnn_1, Torch's own, is what runs: builds get its headers, not those of cuDNN $_mb_cudnn_2, the toolkit's"
            _mb_link=$_mb_link:$_mb_cudnn_home/lib
            _mb_cmake_link=$_mb_cudnn_home/lib # which does not look into LIBRARY_PATH
            _mb_cudnn_home=$_mb_torch_cudnn
            return 0
        fi
        _mb_log warning "builds get the headers of cuDNN $_mb_cudnn_2, the toolkit's; what runs is cuDNN $_mb_cudnn_1, Torch's own"
    fi
    _mb_link=${_mb_link:+$_mb_link:}$_mb_cudnn_home/lib
    _mb_include=${_mb_include:+$_mb_include:}$_mb_cudnn_home/include
}

_mb_cudnns_differ() { # whether Torch's cuDNN and the toolkit's are known to be two; sets _mb_cudnn_1 and _mb_cudnn_2
    # One version is one inode, as the installer links it.
    _mb_item=lib/libcudnn.so.${_mb_cudnn%%.*}
    # shellcheck disable=SC3013 # all shells have -ef, and POSIX has it since 2024
    [ ! "$_mb_torch_cudnn/$_mb_item" -ef "$_mb_cudnn_home/$_mb_item" ] || return 1
    _mb_cudnn_1=
    for _mb_item in "${_mb_torch_cudnn%/nvidia/cudnn}"/nvidia_cudnn_cu*-*.dist-info; do
        [ ! -d "$_mb_item" ] || _mb_cudnn_1=${_mb_item%.dist-info}
    done
    _mb_cudnn_1=${_mb_cudnn_1##*-}
    _mb_scan cudnn
    _mb_cudnn_2=$_mb_2
    [ -n "$_mb_cudnn_1" ] && [ "$_mb_state" = ready ] && [ "$_mb_cudnn_1" != "$_mb_cudnn_2" ]
}

_mb_set_variables() {
    _mb_packages=lib/python$_mb_python_two/site-packages
    _mb_list_libraries
    # The driver first: where NVIDIA's images and GKE expect it. The container toolkit mounts it into the system's own
    # library folder, which the loader searches last: no entry of ours holds a libcuda.so.1 that could come before it.
    # Then the libraries that Torch brings, before those of the toolkits: a process can have one of each, and cuDNN loads
    # its parts by name at run time, where LD_LIBRARY_PATH comes before the folder that they lie in.
    _mb_libraries=/usr/local/nvidia/lib64:/usr/local/nvidia/lib$_mb_libraries
    _mb_path=$_mb_environment/bin
    _mb_virtual_env=$_mb_environment
    if [ -n "$_mb_user_venv" ]; then
        _mb_path=$_mb_user_venv/bin:$_mb_path
        _mb_virtual_env=$_mb_user_venv
    fi
    _mb_link=
    _mb_cmake_link=
    _mb_include=
    if [ -n "$_mb_cuda_home" ]; then
        _mb_path=$_mb_path:$_mb_cuda_home/bin
        _mb_libraries=$_mb_libraries:$_mb_cuda_home/lib64
        _mb_link=$_mb_cuda_home/lib64
        if [ -d "$_mb_cuda_home/lib64/stubs" ]; then
            _mb_link=$_mb_link:$_mb_cuda_home/lib64/stubs
        fi
        _mb_include=$_mb_cuda_home/include
        case $_mb_name in
        *-cu"${_mb_cuda_two%%.*}${_mb_cuda_two#*.}") ;;
        *-cu[0-9]*) _mb_log info "CUDA extensions are built by the toolkit of CUDA $_mb_cuda_two, and run with the libraries of ${_mb_name##*-}" ;;
        esac
    fi
    if [ -n "$_mb_cudnn_home" ]; then
        _mb_list_cudnn
    fi

    _mb_set_list PATH "$_mb_path:/usr/local/nvidia/bin"
    _mb_set_list LD_LIBRARY_PATH "$_mb_libraries"
    _mb_set_list LIBRARY_PATH "$_mb_link"
    _mb_set_list CMAKE_LIBRARY_PATH "$_mb_cmake_link"
    _mb_set_list CPATH "$_mb_include"
    _mb_set CUDA_HOME "$_mb_cuda_home"
    _mb_set CUDA_PATH "$_mb_cuda_home"
    _mb_set CUDNN_HOME "$_mb_cudnn_home"
    _mb_set CUDNN_PATH "$_mb_cudnn_home"
    _mb_set VIRTUAL_ENV "$_mb_virtual_env"
    _mb_set MONOBASE_ENVIRONMENT "$_mb_environment"
    # As a venv's own activate does: it would send Python to another library than its own.
    if [ -n "${PYTHONHOME+set}" ]; then
        _mb_log info "PYTHONHOME=$PYTHONHOME is unset: a virtual environment's Python does not start with it"
        unset PYTHONHOME
    fi
    # busybox's -w says yes to root whatever the mount; opening for appending changes nothing, and tells.
    if [ ! -w "$_mb_environment" ] || ! { { :; } >>"$_mb_environment/pyvenv.cfg"; } 2>/dev/null; then
        _mb_set_default PYTHONDONTWRITEBYTECODE 1
    fi
    _mb_set_user
    _mb_set_caches
}

# --- a name and a place to write ------------------------------------------------------------------------------------------

_mb_find_user() { # sets _mb_uid, and, of the system's list, _mb_user and _mb_user_home; to nothing what cannot be found
    [ -z "${_mb_uid+set}" ] || return 0
    _mb_uid='' _mb_user='' _mb_user_home=''
    # shellcheck disable=SC3028 # asked for only where the shell is one that sets it
    if [ -n "${BASH_VERSION-}${ZSH_VERSION-}" ]; then
        _mb_uid=$EUID
    elif [ -r /proc/self/status ]; then
        while read -r _mb_kind _mb_1 _mb_uid _mb_item && [ "$_mb_kind" != Uid: ]; do :; done </proc/self/status
    fi
    if [ -n "$_mb_uid" ] && [ -r /etc/passwd ]; then
        while IFS=: read -r _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_item _mb_other || [ -n "$_mb_1" ]; do
            if [ "$_mb_3" = "$_mb_uid" ]; then
                _mb_user=$_mb_1
                _mb_user_home=$_mb_item
                break
            fi
        done </etc/passwd
    fi
}

_mb_set_user() { # Python's getpass asks these four, then the system, which knows no name for most uids of Kubernetes
    [ -z "${LOGNAME-}${USER-}${LNAME-}${USERNAME-}" ] || return 0
    _mb_find_user
    if [ -n "$_mb_uid" ] && [ -z "$_mb_user" ]; then
        _mb_set USER "uid$_mb_uid"
        _mb_set LOGNAME "uid$_mb_uid"
    fi
}

_mb_can_write() { # FOLDER
    [ -d "$1" ] && [ -w "$1" ] && [ -x "$1" ]
}

_mb_set_caches() { # README.md has the rule
    if [ -z "${HOME-}" ]; then
        _mb_find_user
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
        # What the image holds in ~/.cache, such as weights, must be found there.
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

_mb_find_place() { # sets _mb_place to a folder for caches, or to nothing
    _mb_place=
    _mb_find_user
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

_mb_make_private() { # FOLDER: sets _mb_place to it, or to one beside it where somebody else has the name
    _mb_place=$1
    # Who owns a folder in a sticky one is who made it; we make ours for ourselves alone.
    # shellcheck disable=SC3067 # all shells have -O
    if [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; then
        _mb_can_write "$1" && return 0
    elif [ ! -e "$1" ] && [ ! -L "$1" ]; then
        [ -d "${1%/*}" ] || mkdir -p "${1%/*}" 2>/dev/null
        mkdir -m 700 "$1" 2>/dev/null && return 0
    fi
    _mb_place=$(mktemp -d "$1-XXXXXXXX" 2>/dev/null) && [ -n "$_mb_place" ]
}

_mb_allows_exec() { # FOLDER: whether programs and libraries in it may run, as far as the list of mounts tells
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

_mb_activate() {
    _mb_only_build=
    unset _mb_uid
    _mb_read_settings || return $?
    _mb_refuse_readonly || return $?
    _mb_waited_s=0
    until _mb_find; do
        _mb_code=$?
        [ "$_mb_code" = 75 ] || return "$_mb_code"
        if [ "$_mb_waited_s" -ge "$_mb_wait_s" ]; then
            _mb_refuse_to_wait_longer
            return $?
        fi
        if [ "$_mb_waited_s" = 0 ]; then
            _mb_item=$_mb_lack
            if [ "$_mb_lack" = generation ]; then
                _mb_item="generation $_mb_generation in $_mb_prefix"
            fi
            _mb_log warning "waiting up to $_mb_wait_s s for $_mb_item, which is not installed yet"
        fi
        sleep 1
        _mb_waited_s=$((_mb_waited_s + 1))
    done
    if [ "$_mb_waited_s" -gt 0 ]; then
        _mb_log warning "ready after $_mb_waited_s s"
    fi
    if [ -n "$_mb_user_venv" ]; then
        _mb_prepare_user_venv || return $?
    fi
    _mb_set_variables
    _mb_log info "activated $_mb_generation_found/$_mb_name${_mb_user_venv:+ under $_mb_user_venv}"
}

# --- leaving nothing behind ---------------------------------------------------------------------------------------------

_mb_finish() { # EXIT_CODE
    unset -f _mb_activate _mb_add _mb_allows_exec _mb_ask _mb_can_write _mb_check_number _mb_check_path _mb_check_version \
        _mb_cudnns_differ _mb_fail _mb_find _mb_find_environment _mb_find_generation _mb_find_place _mb_find_toolkit \
        _mb_find_user _mb_finish _mb_fits _mb_fits_build _mb_is_ours _mb_is_prepared _mb_list_cudnn _mb_list_libraries \
        _mb_log _mb_make_private _mb_prepare_user_venv _mb_read_settings _mb_refuse_cudnn_alone _mb_refuse_environment \
        _mb_refuse_readonly _mb_refuse_to_wait_longer _mb_refuse_toolkit _mb_rest_of _mb_scan _mb_set _mb_set_caches \
        _mb_set_default _mb_set_list _mb_set_user _mb_set_variables _mb_show_controls _mb_show_invisible \
        _mb_take_the_only_build _mb_two_numbers _mb_without_slashes
    unset _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_asked _mb_build _mb_build_cuda _mb_builds _mb_by _mb_char _mb_code \
        _mb_code_point _mb_cuda _mb_cuda_decided_by _mb_cuda_home _mb_cuda_two _mb_cudas _mb_cmake_link _mb_cudnn _mb_cudnn_1 _mb_cudnn_2 \
        _mb_cudnn_home _mb_cudnns _mb_elsewhere _mb_environment _mb_finder _mb_flags _mb_format _mb_found _mb_generation \
        _mb_generation_found _mb_generations _mb_globignore _mb_globignore_set _mb_globsort _mb_globsort_set \
        _mb_has_temporary _mb_ifs _mb_ifs_set _mb_include _mb_invisible _mb_item _mb_kind _mb_lack _mb_last_resort \
        _mb_libraries _mb_line _mb_link _mb_log_level _mb_longest _mb_name _mb_near_build _mb_near_python _mb_near_torch \
        _mb_number _mb_offer _mb_only_build _mb_only_cuda _mb_only_found _mb_options _mb_other _mb_packages _mb_path \
        _mb_place _mb_prefix _mb_python _mb_python_known _mb_python_two _mb_pythons _mb_pythons_of_torch _mb_ready \
        _mb_rest _mb_same _mb_shopts _mb_shown _mb_state _mb_summary _mb_todo _mb_toolkit _mb_torch _mb_torch_cudnn \
        _mb_torch_home _mb_torches _mb_torches_of_python _mb_two _mb_uid _mb_user _mb_user_home _mb_user_venv \
        _mb_virtual_env _mb_wait_s _mb_waited _mb_waited_s _mb_why _mb_zsh
    # exec, which has set _mb_home, leases the folder of the generation.
    [ -n "${_mb_home+set}" ] || unset _mb_folder
    return "$1"
}

# The caller's way of splitting and globbing, and what else of a shell's modes changes what stands above, is kept for the
# caller.
_mb_options=$-
_mb_ifs_set=${IFS+set}
_mb_ifs=${IFS-}
IFS=' 	
'
set +f
_mb_shopts=
if [ -n "${BASH_VERSION-}" ]; then
    # shellcheck disable=SC3041 # bash has it
    case $_mb_options in *k*) set +k ;; esac
    # What it has by way of variables: names to leave out, and (5.3) another order. (The former sets dotglob.)
    _mb_globignore_set=${GLOBIGNORE+set}
    _mb_globignore=${GLOBIGNORE-}
    _mb_globsort_set=${GLOBSORT+set}
    _mb_globsort=${GLOBSORT-}
    # shellcheck disable=SC3028 # bash has it
    for _mb_item in failglob nullglob nocaseglob nocasematch dotglob; do
        case :${BASHOPTS-}: in
        *":$_mb_item:"*)
            _mb_shopts="$_mb_shopts $_mb_item"
            # shellcheck disable=SC3044 # bash has it
            shopt -u "$_mb_item"
            ;;
        esac
    done
    unset GLOBIGNORE GLOBSORT
fi
if _mb_activate; then
    _mb_code=0
else
    _mb_code=$?
fi
if [ -n "${BASH_VERSION-}" ]; then
    [ -z "$_mb_globignore_set" ] || GLOBIGNORE=$_mb_globignore
    [ -z "$_mb_globsort_set" ] || GLOBSORT=$_mb_globsort
    for _mb_item in $_mb_shopts; do
        # shellcheck disable=SC3044 # bash has it
        shopt -s "$_mb_item"
    done
    # shellcheck disable=SC3041 # bash has it
    case $_mb_options in *k*) set -k ;; esac
fi
case $_mb_options in *f*) set -f ;; esac
IFS=$_mb_ifs
[ -n "$_mb_ifs_set" ] || unset IFS
_mb_finish "$_mb_code"
