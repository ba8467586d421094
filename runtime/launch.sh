# shellcheck shell=sh
# Runs the environment's command that has the name of the launcher which reads this file. See README.md.
#
# In a process that is not activated, exec activates and runs the launcher again. In an activated process, the launcher runs
# the first command of its name on the PATH that is not a launcher: two launchers of one name would call each other for ever.

_mb_name=${0##*/}

_mb_is_launcher() { # FILE
    _mb_first='' _mb_second=''
    { read -r _mb_first && read -r _mb_second; } 2>/dev/null <"$1"
    case $_mb_first$_mb_second in
    '#!/bin/sh# A launcher of Monobase:'*) return 0 ;;
    esac
    return 1
}

_mb_environment='' _mb_command=''
_mb_todo=${PATH-}:
while [ -n "$_mb_todo" ]; do
    _mb_item=${_mb_todo%%:*}
    _mb_todo=${_mb_todo#*:}
    case $_mb_item in
    */monobase/g[0-9][0-9][0-9][0-9][0-9]*/python*/bin)
        # The environment may have been pruned since.
        if [ -z "$_mb_environment" ] && [ -d "$_mb_item" ]; then
            _mb_environment=${_mb_item%/bin}
        fi
        ;;
    esac
done
if [ -z "$_mb_environment" ]; then
    exec /opt/monobase/exec "$0" "$@"
fi

_mb_todo=$PATH:
while [ -n "$_mb_todo" ] && [ -z "$_mb_command" ]; do
    _mb_item=${_mb_todo%%:*}
    _mb_todo=${_mb_todo#*:}
    _mb_item=${_mb_item:-.}/$_mb_name
    if [ -f "$_mb_item" ] && [ -x "$_mb_item" ] && ! _mb_is_launcher "$_mb_item"; then
        _mb_command=$_mb_item
    fi
done
if [ -z "$_mb_command" ]; then
    echo "monobase: error: $_mb_name: no such command in $_mb_environment, nor elsewhere on the PATH." >&2
    exit 127
fi
exec "$_mb_command" "$@"
