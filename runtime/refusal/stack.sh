# shellcheck shell=sh disable=SC2154 # activate.sh, search.sh and stack.sh set them
# Explains why the generation lacks the stack that was asked for.
_mb_functions="$_mb_functions _mb_add_stack_elsewhere _mb_describe_stack _mb_refuse_stack"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_6 _mb_7 _mb_by _mb_elsewhere _mb_last _mb_offer _mb_other _mb_pythons \
    _mb_rank _mb_ready _mb_stacks _mb_versions _mb_why"

_mb_describe_stack() { # sets _mb_offer to what the line that was read has: Torch 2.14.0+cu130, CUDA 13.0
    _mb_offer="Torch $_mb_3+$_mb_4"
    [ "$_mb_3" != - ] || _mb_offer='no Torch'
    [ "$_mb_5" = - ] || _mb_offer="$_mb_offer, CUDA $_mb_5"
}

_mb_refuse_stack() {
    _mb_do refusal/prefix : # its functions build the lists
    # Of the lines with this stack, the one that fits longest says what is in the way.
    _mb_stacks='' _mb_versions='' _mb_pythons='' _mb_last='' _mb_rank=0
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_6 _mb_7 || [ -n "$_mb_kind" ]; do
        [ "$_mb_kind" = stack ] || continue
        _mb_why=$_mb_6
        [ "$_mb_7" = - ] || _mb_why="$_mb_6==$_mb_7"
        _mb_add _mb_stacks "$_mb_why"
        [ "$_mb_6" = "$_mb_stack" ] || continue
        _mb_add _mb_versions "$_mb_why"
        _mb_stack_fits
        case $_mb_differs in version) set -- 1 ;; python) set -- 2 ;; torch) set -- 3 ;; *) set -- 4 ;; esac
        [ "$1" = 1 ] || _mb_add _mb_pythons "$_mb_1"
        if [ "$1" -gt "$_mb_rank" ]; then
            _mb_rank=$1
            _mb_describe_stack
            _mb_last=$_mb_offer
        fi
    done <"$_mb_folder/environments"

    _mb_by="MONOBASE_STACK=$MONOBASE_STACK"
    case $_mb_rank in
    0) _mb_why="has no stack $_mb_stack" ;;
    1) _mb_why="has no $_mb_stack $_mb_stack_version" ;;
    2) _mb_why="has no $_mb_stack for Python $_mb_python_two" _mb_by="PYTHON_VERSION=$PYTHON_VERSION with $_mb_by" ;;
    3) _mb_why="has its $_mb_stack with $_mb_last, not with Torch $TORCH_VERSION" _mb_by="TORCH_VERSION=$TORCH_VERSION with $_mb_by" ;;
    4) _mb_why="has its $_mb_stack with $_mb_last, not with CUDA $_mb_cuda_two" _mb_by="CUDA_VERSION=$CUDA_VERSION with $_mb_by" ;;
    esac
    _mb_add_stack_elsewhere
    _mb_ask
    set -- "asked for: $_mb_asked" "decided by: $_mb_by"
    case $_mb_rank in
    1) set -- "$@" "same stack: MONOBASE_STACK=$_mb_versions" ;;
    2) set -- "$@" "same stack: PYTHON_VERSION=$_mb_pythons" ;;
    esac
    [ -z "$_mb_elsewhere" ] || set -- "$@" "the same in another generation: $_mb_elsewhere"
    set -- "$@" "$_mb_generation_found offers ${_mb_stacks:-no stack}"
    case $_mb_rank in
    3) set -- "$@" "A stack brings its own Torch: unset TORCH_VERSION." ;;
    4) set -- "$@" "A stack brings its own CUDA: unset CUDA_VERSION (an image that this one builds on may set it)." ;;
    esac
    _mb_do refusal/message _mb_fail 69 "generation $_mb_generation_found $_mb_why." "$@"
}

_mb_add_stack_elsewhere() { # sets _mb_elsewhere to the other generations that have what was asked for
    _mb_elsewhere=
    for _mb_other in "$_mb_generations"/g[0-9][0-9][0-9][0-9][0-9]*; do
        if [ "$_mb_other" = "$_mb_folder" ] || [ ! -r "$_mb_other/environments" ]; then
            continue
        fi
        while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_6 _mb_7 || [ -n "$_mb_kind" ]; do
            if [ "$_mb_kind:$_mb_6" = "stack:$_mb_stack" ] && _mb_stack_fits; then
                _mb_do activation/versions _mb_take_number_of "${_mb_other##*/g}"
                _mb_add _mb_elsewhere "MONOBASE_GEN_ID=$_mb_number"
                break
            fi
        done <"$_mb_other/environments"
    done
}
