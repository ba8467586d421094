# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Uses a layer on top of the environment, if it was made for this one. layers/layer_file.py documents its file.
_mb_functions="$_mb_functions _mb_is_base _mb_use_layer"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_content _mb_layer _mb_layer_base _mb_layer_fit"

_mb_use_layer() { # nothing is written, and no process is started
    _mb_layer_fit=${MONOBASE_LAYER_FIT:-on}
    case $_mb_layer_fit in on | warn | off) ;; *) _mb_do refusal/layer _mb_refuse_layer_setting || return ;; esac
    _mb_kind='' _mb_format='' _mb_layer_base='' _mb_item=''
    # (A zsh prints that there is no file wherever its standard error goes.)
    [ ! -r "$_mb_user_venv/.monobase-layer" ] || { read -r _mb_kind _mb_format && read -r _mb_item _mb_1 && read -r _mb_item _mb_2 && read -r _mb_item _mb_layer_base &&
        read -r _mb_item _mb_content; } 2>/dev/null <"$_mb_user_venv/.monobase-layer" || _mb_item=
    _mb_layer=${_mb_1-}/${_mb_2-}
    [ "$_mb_kind $_mb_format $_mb_item" = "monobase-layer 1 content" ] || _mb_do refusal/layer _mb_refuse_layer_file || return
    [ -d "$_mb_user_venv/$_mb_packages" ] || _mb_do refusal/layer _mb_refuse_layer_python || return
    [ "$_mb_layer_fit" = off ] || _mb_is_base || _mb_do refusal/layer _mb_refuse_layer_base || return
    # A layer that was made for another prefix leads to an interpreter that is not here: prepared like any venv.
    [ -x "$_mb_user_venv/bin/python" ] || _mb_run_preparation
}

_mb_is_base() { # whether the environment has the wheels that the layer was locked against; sets _mb_found to their digest
    _mb_found=''
    # Environments of older installers have no such file: their names decide.
    [ ! -r "$_mb_environment/.content" ] || read -r _mb_found <"$_mb_environment/.content" || :
    case $_mb_content:$_mb_found in
    -:* | *:) [ "$_mb_layer" = "$_mb_generation_found/$_mb_name" ] ;;
    *) [ "$_mb_content" = "sha256:$_mb_found" ] ;;
    esac
}
