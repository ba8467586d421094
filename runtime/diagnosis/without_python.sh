# shellcheck shell=sh disable=SC2154 # doctor sets them
# What the doctor can say where no Python starts: it asks the activation, and looks at what a shell can see.

_mb_json=${1-} _mb_rows='' _mb_problems=0

_mb_escape() { # TEXT: sets _mb_text to the text for a string of JSON
    _mb_todo=$1 _mb_text=''
    while [ -n "$_mb_todo" ]; do
        _mb_rest=${_mb_todo#?}
        _mb_char=${_mb_todo%"$_mb_rest"}
        _mb_todo=$_mb_rest
        case $_mb_char in
        '"' | \\) _mb_char=\\$_mb_char ;;
        [[:cntrl:]]) _mb_char=' ' ;;
        esac
        _mb_text=$_mb_text$_mb_char
    done
}

_mb_add_row() { # SUBJECT STATE FOUND [ADVICE]
    [ "$2" != problem ] || _mb_problems=$((_mb_problems + 1))
    if [ -z "$_mb_json" ]; then
        printf '%-10s%-13s%s\n' "$2" "$1" "$3"
        [ -z "${4-}" ] || printf '%-23s- %s\n' '' "$4"
        return
    fi
    _mb_escape "$3"
    _mb_found=$_mb_text
    _mb_escape "${4-}"
    _mb_rows="$_mb_rows${_mb_rows:+,}
  {\"subject\": \"$1\", \"state\": \"$2\", \"found\": \"$_mb_found\", \"advice\": [${4:+\"$_mb_text\"}]}"
}

_mb_found=''
for _mb_item in PYTHON_VERSION MONOBASE_STACK TORCH_VERSION CUDA_VERSION CUDNN_VERSION MONOBASE_GEN_ID MONOBASE_PREFIX MONOBASE_FIT; do
    eval "_mb_value=\${$_mb_item-}"
    [ -z "$_mb_value" ] || _mb_found="$_mb_found $_mb_item=$_mb_value"
done
_mb_add_row variables ok "${_mb_found:- none of those that activation reads is set}"

# The activation starts no process: what it says holds even if this image can start none of the prefix.
_mb_messages=$(MONOBASE_WAIT_S=0 MONOBASE_LEASE=0 MONOBASE_PREFETCH=0 MONOBASE_USER_VENV='' /bin/sh "$_mb_home/exec" true 2>&1)
_mb_code=$?
_mb_summary=${_mb_messages%%
*}
if [ "$_mb_code" != 0 ]; then
    _mb_advice=${_mb_messages#"$_mb_summary"}
    _mb_add_row environment problem "${_mb_summary#monobase: error: } (exit code $_mb_code)" "${_mb_advice#
    }"
    _mb_add_row python note "none starts here: this is what a shell can see"
else
    _mb_add_row environment note "${_mb_summary:-is activated}"
    _mb_add_row python problem "no Python of the prefix starts in this image, nor /usr/bin/python3" \
        "Is the image made for the node's machine (uname -m: $(uname -m 2>/dev/null))? Run the installer's verify on the node."
fi

_mb_found=
for _mb_item in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 /lib/ld-musl-*.so.1 /lib/*-linux-gnu/libc-2.*.so /lib64/libc-2.*.so; do
    [ ! -e "$_mb_item" ] || _mb_found="$_mb_found $_mb_item"
done
_mb_add_row image note "loaders and C libraries:${_mb_found:- none of those that are known}"

_mb_found=
[ ! -r /proc/driver/nvidia/version ] || read -r _mb_found </proc/driver/nvidia/version
if [ -e /dev/nvidiactl ]; then
    _mb_add_row driver note "${_mb_found:-of an unknown version (no /proc/driver/nvidia/version)}"
else
    _mb_add_row driver note "this container has no GPU (no /dev/nvidiactl)${_mb_found:+; on the node: $_mb_found}"
fi

for _mb_item in "${HOME:-/nonexistent}" "${TMPDIR:-/tmp}"; do
    if [ -d "$_mb_item" ] && [ -w "$_mb_item" ]; then
        _mb_add_row folder ok "$_mb_item"
    else
        _mb_add_row folder warning "$_mb_item cannot be written to" "Mount a volume (Kubernetes: an emptyDir) at /tmp."
    fi
done

_mb_ok=true
[ "$_mb_problems" = 0 ] || _mb_ok=false
if [ -n "$_mb_json" ]; then
    printf '{\n "format": 1,\n "ok": %s,\n "findings": [%s\n ],\n "exit_code": %s\n}\n' "$_mb_ok" "$_mb_rows" "$_mb_code"
fi
[ "$_mb_ok" = true ]
exit
