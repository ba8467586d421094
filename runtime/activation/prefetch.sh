# shellcheck shell=sh disable=SC2154 # exec sets _mb_home
# Starts to read ahead what the import of the environment reads, in the background. README.md beside exec describes it.

_mb_functions="$_mb_functions _mb_prefetch"
_mb_variables="$_mb_variables _mb_list"

_mb_prefetch() {
    case $MONOBASE_PREFETCH in
    1) ;;
    *)
        case ${MONOBASE_LOG_LEVEL:-warning} in
        error) ;;
        *) echo "monobase: warning: MONOBASE_PREFETCH=$MONOBASE_PREFETCH is neither 0 nor 1; not reading ahead" >&2 ;;
        esac
        return
        ;;
    esac
    # PREFIX/monobase/g00003/NAME has its list in PREFIX/monobase/.prefetch/g00003/NAME.
    _mb_generation=${MONOBASE_ENVIRONMENT%/*}
    _mb_list=${_mb_generation%/*}/.prefetch/${_mb_generation##*/}/${MONOBASE_ENVIRONMENT##*/}
    if [ ! -r "$_mb_list" ]; then
        case ${MONOBASE_LOG_LEVEL:-warning} in
        debug | info) echo "monobase: info: this node has not recorded what the import reads; not reading ahead" >&2 ;;
        esac
        return
    fi
    # Twice in the background: the model is not to find a child that it has not started. It keeps nothing of the model's open.
    (
        "$MONOBASE_ENVIRONMENT/bin/python" -I -S -B "$_mb_home/prefetch/read_ahead.py" "$_mb_list" \
            </dev/null >/dev/null 2>&1 9<&- &
    )
}
