# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Explains why the prefix lacks what was asked for: what that was, which variable decided, and what is nearest.
_mb_functions="$_mb_functions _mb_add _mb_ask _mb_find_elsewhere _mb_refuse_environment _mb_refuse_left_out _mb_refuse_list _mb_refuse_lost_toolkit _mb_refuse_prefix \
    _mb_refuse_python _mb_refuse_to_wait_longer _mb_refuse_toolkit"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_asked _mb_builds _mb_by _mb_cudas _mb_cudnns _mb_elsewhere _mb_near_build _mb_near_python \
    _mb_near_torch _mb_offer _mb_other _mb_python_known _mb_pythons _mb_pythons_of_torch _mb_ready _mb_same _mb_torches \
    _mb_torches_of_python _mb_waited _mb_why"

_mb_refuse_prefix() {
    _mb_item=" is not set"
    if [ -n "${MONOBASE_PREFIX-}" ]; then
        _mb_item="=$MONOBASE_PREFIX"
    fi
    _mb_do refusal/message _mb_fail 66 "the prefix is not mounted: there is no folder $_mb_prefix (MONOBASE_PREFIX$_mb_item)." \
        "Mount the node's prefix there, read-only (Kubernetes: a hostPath volume), or name the right folder in MONOBASE_PREFIX."
}

_mb_refuse_list() {
    case $_mb_kind:${_mb_format-} in
    monobase-environments:1 | monobase-environments: | monobase-environments:*[!0123456789]*) ;;
    monobase-environments:*)
        _mb_do refusal/message _mb_fail 72 "$_mb_folder/environments has format $_mb_format, and this runtime reads format 1." \
            "Take a runtime as new as the installer of the node."
        return
        ;;
    esac
    _mb_do refusal/message _mb_fail 72 "$_mb_folder/environments is damaged: it does not begin like a list of environments." \
        "On the node, \`monobase verify --repair\` writes the file again."
}

_mb_refuse_python() { # ENVIRONMENT
    _mb_do refusal/message _mb_fail 72 \
        "$1 has no Python that runs: its bin/python leads nowhere, or to what this user may not run." \
        "Is the prefix mounted at the same path as on the node? An environment names its interpreter by absolute path." \
        "If it is, run the installer's verify on the node."
}

_mb_refuse_lost_toolkit() {
    _mb_do refusal/message _mb_fail 72 "$_mb_toolkit is listed as ready, and is not there." "Run the installer's verify on the node."
}

_mb_add() { # LIST_NAME ITEM: adds an item to a comma-separated list, once
    eval "_mb_item=\${$1}"
    case ", $_mb_item, " in
    *", $2, "*) ;;
    *) eval "$1=\${_mb_item:+\$_mb_item, }\$2" ;;
    esac
}

_mb_ask() { # sets _mb_asked to the variables as the caller has set them
    _mb_asked="generation $_mb_generation_found ("
    if [ -n "${MONOBASE_GEN_ID-}" ]; then
        _mb_asked="${_mb_asked}MONOBASE_GEN_ID=$MONOBASE_GEN_ID)"
    else
        _mb_asked="${_mb_asked}MONOBASE_GEN_ID not set: the latest)"
    fi
    [ "$_mb_choice" != stack ] || _mb_asked="$_mb_asked, MONOBASE_STACK=$MONOBASE_STACK"
    for _mb_item in PYTHON_VERSION TORCH_VERSION CUDA_VERSION CUDNN_VERSION; do
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
        _mb_fits "$PYTHON_VERSION" "$_mb_1" && _mb_same=p
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
    _mb_take_version PYTHON_VERSION "$PYTHON_VERSION"
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
    _mb_find_elsewhere
    [ -z "$_mb_elsewhere" ] || set -- "$@" "the same in another generation: $_mb_elsewhere"
    set -- "$@" "$_mb_generation_found offers Python $_mb_pythons; Torch ${_mb_torches:-(none)}; with ${_mb_builds:-(no build)}"
    _mb_do refusal/message _mb_fail 69 "generation $_mb_generation_found $_mb_why." "$@"
}

_mb_find_elsewhere() { # sets _mb_elsewhere to the other generations that have _mb_name installed
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
}

_mb_refuse_left_out() { # _mb_name and _mb_lack are what the node's selection leaves out, and _mb_selection is that
    _mb_ask
    _mb_find_elsewhere
    set -- "asked for: $_mb_asked"
    [ -z "$_mb_elsewhere" ] || set -- "$@" "the same in another generation: $_mb_elsewhere"
    set -- "$@" "Run the model on a node that holds it, or let this node's daemon hold it, by --pool or --only."
    case $_mb_lack in
    python*) set -- "$@" "Nodes that have it ready have the label feature.node.kubernetes.io/monobase-$_mb_generation_found.${_mb_lack}=true." ;;
    esac
    _mb_do refusal/message _mb_fail 69 \
        "$_mb_lack of generation $_mb_generation_found is left out on this node by its selection: $_mb_selection." "$@"
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
        _mb_do refusal/message _mb_fail 69 "generation $_mb_generation_found has no toolkit of CUDA $_mb_cuda_two." "asked for: $_mb_asked" \
            "decided by: ${_mb_cuda_decided_by:-CUDA_VERSION=$_mb_cuda}" "$_mb_generation_found offers ${_mb_cudas:-no CUDA toolkit}" \
            "For Python without CUDA, unset CUDA_VERSION (an image that this one builds on may set it)."
    else
        _mb_do refusal/message _mb_fail 69 "generation $_mb_generation_found has no cuDNN ${_mb_cudnn%%.*} for CUDA ${_mb_cuda%%.*}." "asked for: $_mb_asked" \
            "decided by: CUDNN_VERSION=$_mb_cudnn with ${_mb_cuda_decided_by:-CUDA_VERSION=$_mb_cuda}" \
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
        [ "$_mb_wait_s" -gt 0 ] || _mb_waited="MONOBASE_WAIT_S=SECONDS waits for it, and asks the node for it."
        _mb_do refusal/message _mb_fail 75 "$_mb_lack of generation $_mb_generation_found is not installed yet on this node." "asked for: $_mb_asked" \
            "The installer may still be at work, or may lack room for it (--disk-budget)." \
            "The daemon's /readyz says what is missing and why. $_mb_waited"
        return
    fi
    _mb_offer=
    for _mb_other in "$_mb_generations"/g[0-9][0-9][0-9][0-9][0-9]*; do
        [ -r "$_mb_other/environments" ] && _mb_add _mb_offer "${_mb_other##*/}"
    done
    if [ -z "$_mb_offer" ]; then
        _mb_do refusal/message _mb_fail 66 "there is no generation in $_mb_prefix (no $_mb_generations/latest)." \
            "Is this the node's prefix (MONOBASE_PREFIX), and has the installer begun on this node? $_mb_waited"
    else
        _mb_do refusal/message _mb_fail 68 "there is no generation $_mb_generation in $_mb_prefix (decided by: MONOBASE_GEN_ID=${MONOBASE_GEN_ID-})." \
            "this node has $_mb_offer" "Set MONOBASE_GEN_ID to one of them, unset it for the latest, or widen the installer's range. $_mb_waited"
    fi
}
