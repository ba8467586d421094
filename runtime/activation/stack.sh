# shellcheck shell=sh disable=SC2154 # activate.sh and search.sh set them
# Reads MONOBASE_STACK, and finds the environment with that stack in the generation's list.
_mb_functions="$_mb_functions _mb_is_better_stack _mb_search_stack _mb_stack_fits _mb_take_stack"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_6 _mb_7 _mb_best _mb_best_python _mb_best_version _mb_cuda_decided_by \
    _mb_differs _mb_only_build _mb_ready _mb_stack _mb_stack_build _mb_stack_cuda _mb_stack_torch _mb_stack_version"

_mb_take_stack() { # reads NAME or NAME==VERSION
    _mb_choice=stack _mb_stack=${MONOBASE_STACK%%==*} _mb_stack_version=${MONOBASE_STACK#*==}
    [ "$_mb_stack_version" != "$MONOBASE_STACK" ] || _mb_stack_version=''
    case $MONOBASE_STACK in *==) _mb_stack='' ;; esac
    case $_mb_stack:${_mb_stack_version:-0} in
    [!A-Za-z]* | *[!0-9A-Za-z._-]*:* | *:[!0-9]* | *:*[!0-9A-Za-z.+_-]* | *:*..* | *:*.)
        _mb_do refusal/settings _mb_refuse_stack_setting
        ;;
    esac
}

_mb_search_stack() { # sets _mb_name and _mb_python_two, and CUDA if the caller has not chosen one; returns as search.sh does
    _mb_best=''
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_6 _mb_7 || [ -n "$_mb_kind" ]; do
        if [ "$_mb_kind:$_mb_6" != "stack:$_mb_stack" ] || ! _mb_stack_fits; then
            continue
        fi
        ! _mb_is_left_out "$_mb_item" || _mb_ready=left-out
        [ ! -d "$_mb_folder/$_mb_item" ] || _mb_ready=ready
        if [ -z "$_mb_best" ] || _mb_is_better_stack; then
            _mb_best=$_mb_item _mb_state=$_mb_ready _mb_best_python=$_mb_1 _mb_best_version=$_mb_7
            _mb_stack_torch=$_mb_3 _mb_stack_build=$_mb_4 _mb_stack_cuda=$_mb_5
        fi
    done <"$_mb_folder/environments"
    [ -n "$_mb_best" ] || _mb_do refusal/stack _mb_refuse_stack || return
    _mb_name=$_mb_best _mb_python_two=$_mb_best_python
    if [ -z "$_mb_cuda" ] && [ "$_mb_stack_cuda" != - ]; then
        _mb_cuda=$_mb_stack_cuda _mb_cuda_two=$_mb_stack_cuda _mb_only_build=$_mb_stack_build
        _mb_cuda_decided_by="MONOBASE_STACK=$MONOBASE_STACK, which has CUDA $_mb_cuda"
    fi
    [ "$_mb_state" = ready ] || _mb_await "$_mb_name"
}

_mb_is_better_stack() { # whether the line that was read is to be preferred: what is installed, what the node holds, what is newer
    [ "$_mb_ready" = "$_mb_state" ] || {
        [ "$_mb_ready" = ready ] || [ "$_mb_state" = left-out ]
        return
    }
    _mb_do activation/versions _mb_is_newer "$_mb_7" "$_mb_best_version" && return
    [ "$_mb_7" = "$_mb_best_version" ] && _mb_do activation/versions _mb_is_newer "$_mb_1" "$_mb_best_python"
}

_mb_stack_fits() { # whether the line that was read has what all variables ask for; sets _mb_differs to the first that differs
    _mb_differs=version
    [ -z "$_mb_stack_version" ] || _mb_do activation/versions _mb_is_same_version "$_mb_stack_version" "$_mb_7" || return
    _mb_differs=python
    [ -z "${PYTHON_VERSION-}" ] || _mb_fits "$PYTHON_VERSION" "$_mb_1" || return
    _mb_differs=torch
    [ -z "$_mb_torch" ] || _mb_fits "$_mb_torch" "$_mb_3" || return
    [ -z "$_mb_build" ] || [ "$_mb_build" = "$_mb_4" ] || return
    # Where the stack has neither Torch nor CUDA, or TORCH_VERSION names the build, CUDA_VERSION is for the toolkit alone.
    _mb_differs=cuda
    [ -z "$_mb_cuda" ] || [ -n "$_mb_build" ] || [ "$_mb_3$_mb_5" = -- ] || _mb_fits "$_mb_cuda" "$_mb_5"
}
