# shellcheck shell=sh disable=SC2154 # activate.sh, fit.sh and platform.sh set them
# Explains what this machine or this image cannot run; with MONOBASE_FIT=warn it is only a warning.
_mb_functions="$_mb_functions _mb_add_older_generations _mb_add_running_builds _mb_decided_by _mb_does_not_fit _mb_refuse_driver \
    _mb_refuse_glibc _mb_refuse_machine"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_by _mb_elsewhere _mb_format _mb_need _mb_offer _mb_other _mb_ready \
    _mb_run_need"

_mb_does_not_fit() { # EXIT_CODE SUMMARY [LINE ...]
    if [ "$_mb_fit" = warn ]; then
        _mb_log warning "$2; going on, as MONOBASE_FIT=warn says"
        return
    fi
    _mb_item=$1
    _mb_other="$2."
    shift 2
    set -- "$@" "MONOBASE_FIT=warn starts all the same; MONOBASE_FIT=off does not look."
    _mb_do refusal/message _mb_fail "$_mb_item" "$_mb_other" "$@"
}

_mb_refuse_driver() {
    _mb_do activation/search : && _mb_do refusal/prefix : # for their functions
    _mb_decided_by
    _mb_add_running_builds
    _mb_ask
    set -- "asked for: $_mb_asked" "decided by: $_mb_by"
    [ -z "$_mb_compat_why" ] || set -- "$@" "$_mb_compat_why"
    if [ "$_mb_choice" = stack ]; then
        set -- "$@" "Take a node with a newer driver."
    else
        set -- "$@" "builds of Torch $_mb_torch for Python $_mb_python_two that run here: ${_mb_offer:-none}" \
            "Take one of these, or a node with a newer driver."
    fi
    _mb_item="$_mb_name needs the NVIDIA driver $_mb_need or newer, for CUDA $_mb_run_cuda"
    _mb_does_not_fit 71 "$_mb_item, and this node has $_mb_driver" "$@"
}

_mb_decided_by() { # sets _mb_by to the variable that chose the CUDA of the environment
    case $_mb_choice:${TORCH_VERSION-} in
    stack:*) _mb_by="MONOBASE_STACK=$MONOBASE_STACK" ;;
    *+*) _mb_by="TORCH_VERSION=$TORCH_VERSION" ;;
    *)
        _mb_by="CUDA_VERSION=${CUDA_VERSION-}"
        [ -n "${CUDA_VERSION-}" ] || _mb_by='CUDA_VERSION, which is not set: no other build is there'
        ;;
    esac
}

_mb_add_running_builds() { # sets _mb_offer to the builds of the same Torch and Python that the driver runs
    _mb_offer='' _mb_run_need=$_mb_need
    while read -r _mb_kind _mb_item _mb_ready _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 || [ -n "$_mb_kind" ]; do
        if [ "$_mb_kind" != environment ] || [ "$_mb_1" != "$_mb_python_two" ] || ! _mb_fits "$_mb_torch" "$_mb_3"; then
            continue
        fi
        if [ "$_mb_5" = - ]; then
            _mb_add _mb_offer "TORCH_VERSION=$_mb_3+$_mb_4"
        else
            _mb_take_need "$_mb_5"
            [ -z "$_mb_need" ] || _mb_is_newer "$_mb_need" "$_mb_driver" || _mb_add _mb_offer "CUDA_VERSION=$_mb_5"
        fi
    done <"$_mb_folder/environments"
    _mb_need=$_mb_run_need
}

_mb_add_older_generations() { # sets _mb_elsewhere to the other generations whose glibc this image has
    _mb_elsewhere=
    _mb_do refusal/prefix : # its functions build the lists
    for _mb_other in "$_mb_generations"/g[0-9][0-9][0-9][0-9][0-9]*; do
        [ -r "$_mb_other/environments" ] || continue
        while read -r _mb_kind _mb_item _mb_format; do
            case $_mb_kind:$_mb_item in
            platform:"$_mb_machine"-manylinux_[0-9]*_[0-9]*)
                _mb_item=${_mb_item##*-manylinux_}
                _mb_is_newer "${_mb_item%%_*}.${_mb_item#*_}" "$_mb_glibc" && break
                _mb_take_number_of "${_mb_other##*/g}"
                _mb_add _mb_elsewhere "MONOBASE_GEN_ID=$_mb_number"
                break
                ;;
            environment:*) break ;;
            esac
        done <"$_mb_other/environments"
    done
}

_mb_refuse_glibc() {
    _mb_add_older_generations
    [ -z "$_mb_elsewhere" ] || set -- "generations for the glibc of this image: $_mb_elsewhere"
    _mb_item="this image has glibc $_mb_glibc, and $_mb_generation_found needs $_mb_need or newer ($_mb_platform)"
    _mb_does_not_fit 78 "$_mb_item" "$@" "Build the image on a newer base, such as Monobase's runtime image."
}

_mb_refuse_machine() {
    _mb_by="has no glibc (no $_mb_loader)"
    if [ -e /lib/ld-linux-aarch64.so.1 ]; then
        _mb_by="is for aarch64"
    elif [ -e /lib64/ld-linux-x86-64.so.2 ]; then
        _mb_by="is for x86_64"
    else
        for _mb_item in /lib/ld-musl-*.so.1; do
            [ ! -e "$_mb_item" ] || _mb_by="has musl instead of glibc (Alpine?)"
        done
    fi
    _mb_does_not_fit 78 "this image $_mb_by, and the environments of this node are for $_mb_machine with glibc" \
        "Take an image for $_mb_machine with glibc, such as Monobase's runtime image."
}
