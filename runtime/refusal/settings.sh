# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Explains why a setting is refused: one function for each reason. All return 64.
_mb_functions="$_mb_functions _mb_refuse_build _mb_refuse_cudnn_alone _mb_refuse_fit_setting _mb_refuse_lease _mb_refuse_path _mb_refuse_readonly \
    _mb_refuse_setting _mb_refuse_stack_setting _mb_refuse_user_venv _mb_refuse_version"
_mb_variables="$_mb_variables _mb_example"

_mb_refuse_setting() { # SUMMARY [LINE ...]
    _mb_do refusal/message _mb_fail 64 "$@"
}

_mb_refuse_version() { # VARIABLE
    eval "_mb_item=\${$1-}"
    case $1 in PYTHON_VERSION) _mb_example=3.11 ;; TORCH_VERSION) _mb_example=2.4.1 ;; CUDA_VERSION) _mb_example=12.4 ;; *) _mb_example=9 ;; esac
    case $_mb_item in
    '')
        _mb_refuse_setting "$1 is not set." "Set it to the Python that the model needs, such as $1=$_mb_example," \
            "or set MONOBASE_STACK, such as MONOBASE_STACK=vllm: a stack brings its Python."
        ;;
    *[[:space:]]*)
        _mb_refuse_setting "$1='$_mb_item' is not a version: it contains a blank." \
            "Write numbers with dots between them, such as $1=$_mb_example."
        ;;
    *[!0-9A-Za-z.+_-]* | [!0-9]* | *..* | *.)
        _mb_refuse_setting "$1=$_mb_item is not a version." "Write numbers with dots between them, such as $1=$_mb_example."
        ;;
    *) _mb_refuse_setting "$1=$_mb_item is too short for a version." "Write at least as much as $1=$_mb_example." ;;
    esac
}

_mb_refuse_stack_setting() {
    _mb_item="MONOBASE_STACK=$MONOBASE_STACK is not a stack."
    case $MONOBASE_STACK in *[[:space:]]*) _mb_item="MONOBASE_STACK='$MONOBASE_STACK' is not a stack: it contains a blank." ;; esac
    _mb_refuse_setting "$_mb_item" \
        "Write its name, or its name and a version with == between them, such as MONOBASE_STACK=vllm or MONOBASE_STACK=vllm==0.33.0."
}

_mb_refuse_cudnn_alone() {
    _mb_refuse_setting "CUDNN_VERSION=$_mb_cudnn is set without CUDA_VERSION." \
        "There is a cuDNN for each CUDA: set CUDA_VERSION too, such as CUDA_VERSION=12.4, or unset CUDNN_VERSION."
}

_mb_refuse_build() {
    _mb_refuse_setting "TORCH_VERSION=$TORCH_VERSION and CUDA_VERSION=$CUDA_VERSION contradict each other." \
        "A Torch built for CUDA ${_mb_build_cuda%%.*} cannot be used with a toolkit of CUDA ${_mb_cuda%%.*}." \
        "Remove the part after the + so that CUDA_VERSION decides, or unset CUDA_VERSION."
}

_mb_refuse_lease() {
    _mb_refuse_setting "MONOBASE_LEASE=$MONOBASE_LEASE is neither 1 nor 0." \
        "Write MONOBASE_LEASE=1 to keep the generation from being pruned while the model runs; 0 or an empty value does not."
}

_mb_refuse_fit_setting() {
    _mb_refuse_setting "MONOBASE_FIT=$MONOBASE_FIT is none of on, warn, off." \
        "on (or an empty value) refuses what the driver or the image cannot run, warn only says so, off does not look."
}

_mb_refuse_path() { # VARIABLE VALUE
    case $2 in
    *[[:cntrl:]]*) _mb_refuse_setting "$1=$2 contains a control character." "Remove it." ;;
    *:*) _mb_refuse_setting "$1=$2 contains a colon, which separates the entries of search paths." "Use another folder." ;;
    *) _mb_refuse_setting "$1=$2 is not an absolute path." "Write it from the root, such as /srv/r8/monobase." ;;
    esac
}

_mb_refuse_user_venv() { # VARIABLE
    _mb_refuse_setting "$1=$_mb_user_venv cannot be a venv on top: it is the root folder, or lies in the prefix $_mb_prefix." \
        "Name a folder of the model's own, such as $1=/opt/venv."
}

_mb_refuse_readonly() { # VARIABLE
    _mb_refuse_setting "$1 cannot be set: it is read-only (readonly, or a restricted shell)." \
        "Start a shell in which it is not, or let exec start the command."
}
