# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Checks and prepares a virtual environment of the user on top of the environment. user_venv/ does the preparation.
_mb_functions="$_mb_functions _mb_is_noted _mb_prepare_user_venv _mb_run_preparation _mb_take_user_venv"

_mb_take_user_venv() { # normalizes _mb_user_venv, or empties it
    _mb_found=MONOBASE_USER_VENV
    if [ -z "${MONOBASE_USER_VENV+set}" ]; then
        _mb_found=VIRTUAL_ENV
        [ -f "$_mb_user_venv/pyvenv.cfg" ] || _mb_user_venv=
        # An earlier activation, of any prefix, may have set it.
        case $_mb_user_venv in */monobase/g[0-9][0-9][0-9][0-9][0-9]*/*) _mb_user_venv= ;; esac
        [ -n "$_mb_user_venv" ] || return 0
    fi
    _mb_do activation/settings _mb_check_path "$_mb_found" "$_mb_user_venv" || return
    _mb_do activation/settings _mb_strip_slashes "$_mb_user_venv"
    _mb_user_venv=$_mb_item
    case $_mb_user_venv/ in
    // | "$_mb_prefix"/*) _mb_do refusal/settings _mb_refuse_user_venv "$_mb_found" ;;
    esac
}

_mb_is_noted() { # whether the note of CUDA libraries that both sides have exists, if they have any
    for _mb_item in "$_mb_user_venv/$_mb_packages"/nvidia/*/lib; do
        if [ -d "$_mb_item" ] && [ -d "$_mb_environment${_mb_item#"$_mb_user_venv"}" ]; then
            [ -e "$_mb_user_venv/.monobase-note" ]
            return
        fi
    done
}

_mb_prepare_user_venv() { # a layer was prepared when it was made
    # Of a damaged one, the folder may be all that tells it from a venv.
    if [ -e "$_mb_user_venv/.monobase-layer" ] || [ -d "$_mb_user_venv/.monobase-base" ]; then
        _mb_do activation/layer _mb_use_layer
    else
        _mb_run_preparation
    fi
}

_mb_run_preparation() {
    _mb_log info "preparing $_mb_user_venv to see the packages of $_mb_environment"
    "$_mb_environment/bin/python" -I -B -c 'import sys
sys.path.insert(0, sys.argv[1])
from user_venv.main import main
sys.exit(main(sys.argv[2:]))' "${_mb_here%/*}" "$_mb_user_venv" "$_mb_environment" >&2 || return 73
}
