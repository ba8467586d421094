# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Searches the generation's list for what is not where the variables say, and waits for what is not installed yet.
#
# A function returns 0 if it found its part, 75 if that part may still be installed (_mb_lack names it), and another exit
# code, after a message, if not.
_mb_functions="$_mb_functions _mb_await _mb_fits _mb_fits_build _mb_is_left_out _mb_scan _mb_search_cuda _mb_search_cudnn _mb_search_environment \
    _mb_search_generation _mb_search_toolkit _mb_take_the_only_build _mb_wait"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_cuda_decided_by _mb_lack _mb_only_build _mb_only_cuda \
    _mb_only_found _mb_ready _mb_rest _mb_selection _mb_stack _mb_toolkit _mb_waited_s _mb_word"
_mb_only_build='' _mb_waited_s=0

_mb_wait() { # EXIT_CODE of _mb_find: tries again as long as it is 75
    while [ "$1" = 75 ]; do
        if [ "$_mb_waited_s" -ge "$_mb_wait_s" ]; then
            _mb_do refusal/prefix _mb_refuse_to_wait_longer
            return
        fi
        if [ "$_mb_waited_s" = 0 ]; then
            _mb_item=$_mb_lack
            [ "$_mb_lack" != generation ] || _mb_item="generation $_mb_generation in $_mb_prefix"
            _mb_log warning "waiting up to $_mb_wait_s s for $_mb_item, which is not installed yet"
        fi
        _mb_do activation/demand _mb_request || return
        _mb_waited_s=$((_mb_waited_s + 1))
        _mb_do activation/demand _mb_show_progress
        if [ -n "$_mb_only_build" ]; then # there may be more builds by now
            _mb_only_build='' _mb_build='' _mb_cuda='' _mb_cuda_two='' _mb_name=python$_mb_python_two-torch$_mb_torch-cpu
        fi
        if _mb_find; then
            set -- 0
        else
            set -- "$?"
        fi
    done
    [ "$1" = 0 ] || return "$1"
    _mb_log warning "ready after $_mb_waited_s s"
}

_mb_search_generation() {
    [ -d "$_mb_prefix" ] || _mb_do refusal/prefix _mb_refuse_prefix || return
    if [ "$_mb_generation" = latest ] && [ ! -e "$_mb_folder" ]; then
        # No generation is sealed yet: use the newest. Each of its environments is complete when it is there.
        for _mb_item in "$_mb_generations"/g[0-9][0-9][0-9][0-9][0-9]*; do
            [ ! -d "$_mb_item" ] || _mb_folder=$_mb_item
        done
    fi
    if [ ! -r "$_mb_folder/environments" ]; then
        _mb_lack=generation
        return 75
    fi
}

_mb_search_environment() {
    if [ "$_mb_choice" = stack ]; then
        _mb_do activation/stack _mb_search_stack || return
    elif [ "$_mb_choice" = build ]; then
        _mb_do activation/fit _mb_search_build || return
    elif [ ! -d "$_mb_folder/$_mb_name" ]; then
        _mb_scan environment
        if [ "$_mb_state" = none ] && [ -n "$_mb_torch" ] && [ -z "$_mb_cuda$_mb_build" ]; then
            _mb_take_the_only_build
        fi
        case $_mb_state in
        none)
            _mb_do refusal/prefix _mb_refuse_environment
            return
            ;;
        missing)
            _mb_await "$_mb_found"
            return
            ;;
        esac
        _mb_name=$_mb_found
    fi
    [ -x "$_mb_folder/$_mb_name/bin/python" ] || _mb_do refusal/prefix _mb_refuse_python "$_mb_folder/$_mb_name"
}

_mb_await() { # NAME of an environment that may still be installed: not one that the driver does not run
    _mb_lack=$1 _mb_name=$1
    ! _mb_is_left_out "$1" || _mb_do refusal/prefix _mb_refuse_left_out || return
    _mb_runs_on_driver || _mb_do activation/fit _mb_check_fit || return
    return 75
}

_mb_is_left_out() { # NAME: whether the node does not hold it; sets _mb_selection to the option that says what it holds
    _mb_selection=
    while read -r _mb_word _mb_rest || [ -n "$_mb_word" ]; do
        case $_mb_word:$_mb_rest in
        selection:*) _mb_selection=$_mb_rest ;;
        "left-out:$1") return 0 ;;
        python:* | environment:*) break ;; # these lines come after
        esac
    done <"$_mb_folder/environments"
    return 1
}

_mb_take_the_only_build() { # without CUDA_VERSION: takes the build of this Torch and Python if there is one, not for CPUs
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 || [ -n "$_mb_kind" ]; do
        if [ "$_mb_kind" != environment ] || ! _mb_fits "$PYTHON_VERSION" "$_mb_1" || ! _mb_fits "$_mb_torch" "$_mb_3"; then
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

_mb_search_cuda() {
    _mb_search_toolkit cuda || return
    _mb_cuda_home=$_mb_toolkit
}

_mb_search_cudnn() {
    [ -n "$_mb_cuda" ] || _mb_do refusal/settings _mb_refuse_cudnn_alone || return
    _mb_search_toolkit cudnn || return
    _mb_cudnn_home=$_mb_toolkit
}

_mb_search_toolkit() { # KIND: sets _mb_toolkit
    _mb_scan "$1"
    _mb_toolkit=
    case $_mb_state in
    ready)
        _mb_toolkit=$_mb_folder/$_mb_found
        [ -d "$_mb_toolkit" ] || _mb_do refusal/prefix _mb_refuse_lost_toolkit
        ;;
    missing)
        set -- "$1" "is not installed yet"
        ! _mb_is_left_out "$_mb_found" || set -- "$1" "is left out on this node by its selection ($_mb_selection)" left-out
        if [ "$1" = cuda ] && [ -n "$_mb_only_build" ]; then
            # The caller did not ask for it.
            _mb_log info "$_mb_found of $_mb_generation_found $2; going on without it"
        elif [ -n "${3-}" ] && [ -z "$_mb_torch$_mb_choice" ]; then
            _mb_lack=$_mb_found _mb_name=$_mb_found
            _mb_do refusal/prefix _mb_refuse_left_out
        elif [ -z "${3-}" ] && { [ -z "$_mb_torch$_mb_choice" ] || [ "$_mb_waited_s" -lt "$_mb_wait_s" ]; }; then
            _mb_lack=$_mb_found
            return 75
        else
            # Torch, or the stack, brings the libraries that it runs with; the toolkit is for builds.
            _mb_log warning "$_mb_found of $_mb_generation_found $2; going on without it (no CUDA extension can be built)"
        fi
        ;;
    none)
        if [ "$1" = cuda ] && [ -n "$_mb_torch$_mb_choice" ]; then
            _mb_log info "$_mb_generation_found has no toolkit of CUDA $_mb_cuda_two; going on with the libraries that ${_mb_stack:-Torch} brings"
        else
            _mb_do refusal/prefix _mb_refuse_toolkit "$1"
        fi
        ;;
    esac
}

_mb_fits() { # VALUE OFFERED: whether the value is the offered version, or a longer form of it
    case $1 in "$2" | "$2".*) ;; *) return 1 ;; esac
}

_mb_fits_build() { # BUILD CUDA: whether the caller asked for this build
    if [ -n "$_mb_build" ]; then
        [ "$1" = "$_mb_build" ]
    elif [ -n "$_mb_cuda" ]; then
        _mb_fits "$_mb_cuda" "$2"
    else
        [ "$1" = cpu ]
    fi
}

_mb_scan() { # KIND: searches the list; sets _mb_state to ready, missing or none, and _mb_found to the name
    _mb_state=none
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 || [ -n "$_mb_kind" ]; do
        [ "$_mb_kind" = "$1" ] || continue
        case $_mb_kind in
        environment)
            _mb_fits "$PYTHON_VERSION" "$_mb_1" || continue
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
