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

_mb_log() { # LEVEL TEXT
    case $_mb_log_level:$1 in
    debug:* | info:info | info:warning | warning:warning) printf 'monobase: %s: %s\n' "$1" "$2" >&2 ;;
    esac
}

_mb_fail() { # EXIT_CODE SUMMARY [LINE ...]: whatever the level
    _mb_code=$1
    printf 'monobase: error: %s\n' "$2" >&2
    shift 2
    for _mb_line in "$@"; do
        printf '    %s\n' "$_mb_line" >&2
    done
    return "$_mb_code"
}

# --- what was asked ---------------------------------------------------------------------------------------------------

_mb_check_path() { # VARIABLE VALUE
    case $2 in
    *:* | *'
'*) _mb_fail 64 "$1=$2 holds a colon or a line break, which no search path can carry." "Use another folder." ;;
    /*) ;;
    *) _mb_fail 64 "$1=$2 is not an absolute path." "Write it from the root, such as /srv/r8/monobase." ;;
    esac
}

_mb_check_version() { # VARIABLE VALUE EXAMPLE
    case $2 in
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
    while [ "$_mb_prefix" != "${_mb_prefix%/}" ]; do
        _mb_prefix=${_mb_prefix%/}
    done
    _mb_check_path MONOBASE_PREFIX "$_mb_prefix" || return $?

    _mb_wait_s=${MONOBASE_WAIT_S:-0}
    case $_mb_wait_s in
    *[!0-9]*)
        _mb_fail 64 "MONOBASE_WAIT_S=$_mb_wait_s is not a number of seconds." \
            "Write a whole number, such as MONOBASE_WAIT_S=600; 0 or nothing for not waiting."
        return $?
        ;;
    esac

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
        case $_mb_generation in
        '' | *[!0-9]*)
            _mb_fail 64 "MONOBASE_GEN_ID=$MONOBASE_GEN_ID is not the number of a generation." \
                "Write a number, such as MONOBASE_GEN_ID=3; unset it for the latest."
            return $?
            ;;
        esac
        while [ "${#_mb_generation}" -gt 5 ] && [ "$_mb_generation" != "${_mb_generation#0}" ]; do
            _mb_generation=${_mb_generation#0}
        done
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
        if [ -z "$_mb_cuda" ]; then
            _mb_fail 64 "CUDNN_VERSION=$_mb_cudnn is set without CUDA_VERSION." \
                "There is a cuDNN for each CUDA: set CUDA_VERSION too, such as CUDA_VERSION=12.4, or unset CUDNN_VERSION."
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
        _mb_user_venv=${_mb_user_venv%/}
        _mb_check_path MONOBASE_USER_VENV "$_mb_user_venv" || return $?
    fi
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
    _mb_find_generation || return $?
    _mb_find_environment || return $?
    _mb_cuda_home=
    _mb_cudnn_home=
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
    _mb_generations=$_mb_prefix/monobase
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
    if [ "$_mb_kind" != monobase-environments ] || [ "$_mb_item" != generation ]; then
        _mb_fail 72 "$_mb_folder/environments is damaged: it does not begin like a list of environments." \
            "On the node, run the installer again; it writes the file anew."
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
        _mb_fail 72 "$_mb_environment has no Python that runs: its bin/python leads nowhere." \
            "Is the prefix mounted at the same path as on the node? An environment names its interpreter by absolute path." \
            "If it is, run the installer's verify on the node."
        return $?
    fi
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
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5; do
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
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5; do
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
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3; do
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

_mb_prepare_user_venv() {
    # The mark names the environment that this venv was prepared for: the rule from the second start on.
    _mb_item=
    if [ -r "$_mb_user_venv/.monobase" ]; then
        read -r _mb_item <"$_mb_user_venv/.monobase" || _mb_item=
    fi
    [ "$_mb_item" = "$_mb_environment" ] && return 0
    _mb_log info "preparing $_mb_user_venv to see the packages of $_mb_environment"
    "$_mb_environment/bin/python" -I -B - "$_mb_user_venv" "$_mb_environment" >&2 <<'PYTHON' || return 73
import os, re, shutil, sys
from importlib.metadata import distributions
from pathlib import Path

venv, base = Path(sys.argv[1]), Path(sys.argv[2])
library = "lib/python%d.%d/site-packages" % sys.version_info[:2]
ours = "monobase"  # in INSTALLER of each copy of metadata, so that a later preparation finds them


def key(distribution):
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()


def prepare():
    if not venv.exists() or (venv.is_dir() and not any(venv.iterdir())):
        import venv as creator

        creator.create(venv, symlinks=True)
    if not (venv / "pyvenv.cfg").is_file():
        return "%s is not a virtual environment: it has no pyvenv.cfg." % venv
    packages = venv / library
    if not packages.is_dir():
        return "%s is not for Python %d.%d: it has no %s." % (venv, *sys.version_info[:2], library)
    (venv / ".monobase").unlink(missing_ok=True)
    # The base's packages come after the venv's own, with or without these variables set.
    (packages / "monobase.pth").write_text("import site; site.addsitedir(%r)\n" % str(base / library))
    # pip looks at sys.path for what is installed already, uv only into the venv: it gets a copy of the metadata, without
    # the files. Installing another version replaces the copy, and the base's package is hidden by the new one.
    own = {}
    for distribution in distributions(path=[str(packages)]):
        if (distribution.read_text("INSTALLER") or "").strip() == ours:
            for file in distribution.files or ():
                Path(distribution.locate_file(file)).unlink(missing_ok=True)
            shutil.rmtree(distribution._path, ignore_errors=True)
        else:
            own[key(distribution)] = distribution
    for distribution in distributions(path=[str(base / library)]):
        source = Path(distribution._path)
        if key(distribution) in own or source.suffix != ".dist-info":
            continue
        copy = packages / source.name
        copy.mkdir()
        record = []
        for name in ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt"):
            if (source / name).is_file():
                shutil.copyfile(source / name, copy / name)
                record.append("%s/%s" % (copy.name, name))
        (copy / "INSTALLER").write_text(ours + "\n")
        # Its commands, run by the venv's interpreter, so that they see the venv's packages.
        for point in distribution.entry_points:
            script = venv / "bin" / point.name
            if point.group != "console_scripts" or script.exists():
                continue
            module, _, function = point.value.partition("[")[0].strip().partition(":")
            script.write_text(
                "#!/bin/sh\n'''exec' '%s' \"$0\" \"$@\"\n' '''\nimport sys\nfrom %s import %s\nsys.exit(%s())\n"
                % (str(venv / "bin/python").replace("'", "'\\''"), module, function.partition(".")[0], function)
            )
            script.chmod(0o755)
            record.append("../../../bin/%s" % point.name)
        record += ["%s/INSTALLER" % copy.name, "%s/RECORD" % copy.name]
        (copy / "RECORD").write_text("".join("%s,,\n" % path for path in record))
    mark = venv / ".monobase.new"
    mark.write_text("%s\n" % base)
    mark.rename(venv / ".monobase")


try:
    problem = prepare()
except OSError as error:
    problem = "%s cannot be prepared: %s: %s" % (venv, error.filename, error.strerror)
if problem:
    sys.exit(
        "monobase: error: %s\n    MONOBASE_USER_VENV (or else VIRTUAL_ENV) names it as the venv on top of %s.\n"
        "    Give an empty or absent folder that this user can write to, or a venv of this Python; empty for none."
        % (problem, base)
    )
PYTHON
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

_mb_set() { # VARIABLE VALUE: exports a value; without one, takes back what an earlier activation set
    if [ -n "$2" ]; then
        eval "export $1=\$2"
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
        eval "export $1=\$_mb_item"
    else
        unset "$1"
    fi
}

_mb_set_variables() {
    _mb_packages=lib/python$_mb_python_two/site-packages

    # The driver first: where NVIDIA's images and GKE expect it. The container toolkit mounts it into the system's own
    # library folder, which the loader searches last: no entry of ours holds a libcuda.so.1 that could come before it.
    _mb_libraries=/usr/local/nvidia/lib64:/usr/local/nvidia/lib
    # Then the libraries that Torch brings, before those of the toolkits: a process can have one of each, and cuDNN loads
    # its parts by name at run time, where LD_LIBRARY_PATH comes before the folder that they lie in.
    for _mb_item in "${_mb_user_venv:-/dev/null}/$_mb_packages"/nvidia/*/lib "$_mb_environment/$_mb_packages"/nvidia/*/lib; do
        if [ -d "$_mb_item" ]; then
            _mb_libraries=$_mb_libraries:$_mb_item
        fi
    done
    _mb_path=$_mb_environment/bin
    _mb_virtual_env=$_mb_environment
    if [ -n "$_mb_user_venv" ]; then
        _mb_path=$_mb_user_venv/bin:$_mb_path
        _mb_virtual_env=$_mb_user_venv
    fi
    _mb_link=
    _mb_include=
    if [ -n "$_mb_cuda_home" ]; then
        _mb_path=$_mb_path:$_mb_cuda_home/bin
        _mb_libraries=$_mb_libraries:$_mb_cuda_home/lib64
        _mb_link=$_mb_cuda_home/lib64
        if [ -d "$_mb_cuda_home/lib64/stubs" ]; then
            _mb_link=$_mb_link:$_mb_cuda_home/lib64/stubs
        fi
        _mb_include=$_mb_cuda_home/include
    fi
    if [ -n "$_mb_cudnn_home" ]; then
        # A second cuDNN of one major version within reach would mix its parts with those of Torch's.
        _mb_item=lib/python$_mb_python_two/site-packages/nvidia/cudnn/lib/libcudnn.so.${_mb_cudnn%%.*}
        if [ ! -e "$_mb_environment/$_mb_item" ] && [ ! -e "${_mb_user_venv:-/dev/null}/$_mb_item" ]; then
            _mb_libraries=$_mb_libraries:$_mb_cudnn_home/lib
        fi
        _mb_link=${_mb_link:+$_mb_link:}$_mb_cudnn_home/lib
        _mb_include=${_mb_include:+$_mb_include:}$_mb_cudnn_home/include
    fi

    _mb_set_list PATH "$_mb_path:/usr/local/nvidia/bin"
    _mb_set_list LD_LIBRARY_PATH "$_mb_libraries"
    _mb_set_list LIBRARY_PATH "$_mb_link"
    _mb_set_list CPATH "$_mb_include"
    _mb_set CUDA_HOME "$_mb_cuda_home"
    _mb_set CUDA_PATH "$_mb_cuda_home"
    _mb_set CUDNN_HOME "$_mb_cudnn_home"
    _mb_set CUDNN_PATH "$_mb_cudnn_home"
    export VIRTUAL_ENV="$_mb_virtual_env"
    # busybox's -w says yes to root whatever the mount; opening for appending changes nothing, and tells.
    if [ ! -w "$_mb_environment" ] || ! { { :; } >>"$_mb_environment/pyvenv.cfg"; } 2>/dev/null; then
        export PYTHONDONTWRITEBYTECODE="${PYTHONDONTWRITEBYTECODE:-1}"
    fi
}

_mb_activate() {
    if [ -n "${ZSH_VERSION-}" ]; then
        emulate -L sh # zsh's own mode splits and globs in other ways
    fi
    _mb_read_settings || return $?
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
    unset -f _mb_log _mb_fail _mb_check_path _mb_check_version _mb_two_numbers _mb_read_settings _mb_is_ours _mb_find \
        _mb_find_generation _mb_find_environment _mb_find_toolkit _mb_fits _mb_fits_build _mb_scan _mb_add _mb_ask \
        _mb_refuse_environment _mb_refuse_toolkit _mb_refuse_to_wait_longer _mb_prepare_user_venv _mb_rest_of \
        _mb_set _mb_set_list _mb_set_variables _mb_activate _mb_finish
    unset _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_asked _mb_build _mb_build_cuda _mb_builds _mb_by _mb_code _mb_cuda \
        _mb_cuda_decided_by _mb_cuda_home _mb_cuda_two _mb_cudas _mb_cudnn _mb_cudnn_home _mb_cudnns _mb_elsewhere \
        _mb_environment _mb_format _mb_found _mb_generation _mb_generation_found _mb_generations _mb_ifs \
        _mb_ifs_set _mb_include _mb_item _mb_kind _mb_lack _mb_libraries _mb_line _mb_link _mb_log_level _mb_name \
        _mb_near_build _mb_near_python _mb_near_torch _mb_offer _mb_options _mb_other _mb_packages _mb_path \
        _mb_prefix _mb_python _mb_python_known _mb_python_two _mb_pythons _mb_pythons_of_torch _mb_ready _mb_rest \
        _mb_same _mb_state _mb_todo _mb_toolkit _mb_torch _mb_torches _mb_torches_of_python _mb_two _mb_user_venv \
        _mb_virtual_env _mb_wait_s _mb_waited _mb_waited_s _mb_why
    # exec, which has set _mb_home, leases the folder of the generation.
    [ -n "${_mb_home+set}" ] || unset _mb_folder
    return "$1"
}

# The caller's way of splitting and globbing is kept for the caller.
_mb_options=$-
_mb_ifs_set=${IFS+set}
_mb_ifs=${IFS-}
IFS=' 	
'
set +f
if _mb_activate; then
    _mb_code=0
else
    _mb_code=$?
fi
case $_mb_options in *f*) set -f ;; esac
IFS=$_mb_ifs
[ -n "$_mb_ifs_set" ] || unset IFS
_mb_finish "$_mb_code"
