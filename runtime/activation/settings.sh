# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Settings that activate.sh does not know at a glance: values other than the defaults, and other ways to write them.
_mb_functions="$_mb_functions _mb_check_path _mb_strip_slashes _mb_take_build _mb_take_generation _mb_take_level \
    _mb_take_number _mb_take_options"
_mb_variables="$_mb_variables _mb_build_cuda _mb_cuda_decided_by _mb_number"

_mb_take_level() {
    _mb_log_level=warning
    _mb_log warning "MONOBASE_LOG_LEVEL=$MONOBASE_LOG_LEVEL is none of debug, info, warning, error; taking warning"
}

_mb_take_options() { # checks and normalizes MONOBASE_PREFIX, _WAIT_S, _LEASE, _FIT and _GEN_ID
    _mb_check_path MONOBASE_PREFIX "$_mb_prefix" || return
    _mb_strip_slashes "$_mb_prefix"
    _mb_prefix=$_mb_item
    _mb_take_number MONOBASE_WAIT_S "$_mb_wait_s" "a number of seconds" 9999999 \
        "Write a whole number, such as MONOBASE_WAIT_S=600; 0 or an empty value does not wait." || return
    _mb_wait_s=$_mb_number
    # exec acquires the lease. A wrong value is refused here too.
    case ${MONOBASE_LEASE:-0} in 0 | 1) ;; *) _mb_do refusal/settings _mb_refuse_lease || return ;; esac
    case $_mb_fit in on | warn | off) ;; *) _mb_do refusal/settings _mb_refuse_fit_setting || return ;; esac
    [ "$_mb_generation" = latest ] || _mb_take_generation
}

_mb_take_generation() { # normalizes 3, 00003 and g00003 to g00003
    _mb_take_number MONOBASE_GEN_ID "${_mb_generation#g}" "the number of a generation" 999999999 \
        "Write a number, such as MONOBASE_GEN_ID=3; unset it for the latest." || return
    _mb_generation=$_mb_number
    while [ "${#_mb_generation}" -lt 5 ]; do
        _mb_generation=0$_mb_generation
    done
    _mb_generation=g$_mb_generation
}

_mb_take_number() { # VARIABLE VALUE WHAT MOST ADVICE: sets _mb_number to the value without leading zeros
    case $2 in
    '' | *[!0123456789]*)
        _mb_do refusal/message _mb_fail 64 "$1=$2 is not $3." "$5"
        return
        ;;
    esac
    _mb_number=$2
    while [ "${#_mb_number}" -gt 1 ] && [ "$_mb_number" != "${_mb_number#0}" ]; do
        _mb_number=${_mb_number#0}
    done
    # A shell cannot compute with longer numbers.
    if [ "${#_mb_number}" -gt 9 ] || [ "$_mb_number" -gt "$4" ]; then
        _mb_do refusal/message _mb_fail 64 "$1=$2 is too large: the most is $4." "$5"
    fi
}

_mb_check_path() { # VARIABLE VALUE
    case $2 in
    *[[:cntrl:]]* | *:*) ;;
    /*) return 0 ;;
    esac
    _mb_do refusal/settings _mb_refuse_path "$1" "$2"
}

_mb_strip_slashes() { # PATH: sets _mb_item to the path without trailing slashes, or to / for the root folder
    _mb_item=$1
    while [ "${#_mb_item}" -gt 1 ] && [ "$_mb_item" != "${_mb_item%/}" ]; do
        _mb_item=${_mb_item%/}
    done
}

_mb_take_build() { # reads the build from a TORCH_VERSION such as 2.4.1+cu121 (torch.__version__); CUDA_VERSION may differ
    _mb_build=${_mb_torch#*+}
    _mb_torch=${_mb_torch%%+*}
    _mb_build_cuda=${_mb_build#cu}
    case $_mb_build_cuda in "$_mb_build" | '' | ? | *[!0-9]*) return 0 ;; esac
    _mb_build_cuda=${_mb_build_cuda%?}.${_mb_build_cuda#"${_mb_build_cuda%?}"}
    _mb_cuda_decided_by="TORCH_VERSION=$TORCH_VERSION"
    if [ -z "$_mb_cuda" ]; then
        _mb_cuda=$_mb_build_cuda
        _mb_cuda_two=$_mb_build_cuda
    elif [ "${_mb_cuda%%.*}" != "${_mb_build_cuda%%.*}" ]; then
        _mb_do refusal/settings _mb_refuse_build
    fi
}
