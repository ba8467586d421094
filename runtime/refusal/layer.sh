# shellcheck shell=sh disable=SC2154 # activate.sh and layer.sh set them
# Explains why a layer on top is refused: one function for each reason.
_mb_functions="$_mb_functions _mb_refuse_layer_base _mb_refuse_layer_file _mb_refuse_layer_python _mb_refuse_layer_setting"

_mb_refuse_layer_setting() {
    _mb_do refusal/message _mb_fail 64 "MONOBASE_LAYER_FIT=$MONOBASE_LAYER_FIT is none of on, warn, off." \
        "on (or an empty value) refuses a layer that was made for another environment, warn only says so, off does not look."
}

_mb_refuse_layer_file() {
    case $_mb_kind:$_mb_format in
    monobase-layer:[2-9] | monobase-layer:[1-9][0-9]*)
        _mb_do refusal/message _mb_fail 72 "$_mb_user_venv is a layer of format $_mb_format, newer than this runtime." \
            "Build the image on a newer monobase-runtime, or make the layer with an older monobase-layer."
        ;;
    *)
        _mb_do refusal/message _mb_fail 72 "$_mb_user_venv is a damaged layer: its .monobase-layer cannot be read." \
            "Make it again: \`monobase-layer install model.lock --to $_mb_user_venv\`."
        ;;
    esac
}

_mb_refuse_layer_python() {
    _mb_do refusal/message _mb_fail 65 "$_mb_user_venv is a layer for another Python than $_mb_python_two: it was made for $_mb_layer." \
        "the environment: $_mb_generation_found/$_mb_name" \
        "Set PYTHON_VERSION for the layer, or lock again for this environment and make the layer from that lock."
}

_mb_refuse_layer_base() {
    _mb_item="$_mb_user_venv is a layer for another environment: it was made for $_mb_layer, and the environment is $_mb_generation_found/$_mb_name"
    if [ "$_mb_layer_fit" = warn ]; then
        _mb_log warning "$_mb_item; going on, as MONOBASE_LAYER_FIT=warn says"
        return
    fi
    _mb_do refusal/message _mb_fail 65 "$_mb_item." \
        "the layer's base: $_mb_layer, lock $_mb_layer_base, wheels $_mb_content" \
        "the environment: $_mb_generation_found/$_mb_name, wheels ${_mb_found:+sha256:}${_mb_found:-unknown}" \
        "Set MONOBASE_GEN_ID, PYTHON_VERSION, TORCH_VERSION and CUDA_VERSION for the layer's base, or lock again for this environment:" \
        "\`bazel run //tools:layer -- lock requirements.in --gen ${_mb_generation_found#g} --env $_mb_name -o model.lock\`" \
        "MONOBASE_LAYER_FIT=warn starts all the same; MONOBASE_LAYER_FIT=off does not look."
}
