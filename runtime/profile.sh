# shellcheck shell=sh
# /etc/profile.d/monobase.sh: activates login shells, for which /etc/profile has just set another PATH. See README.md.
#
# It prints nothing if there is nothing to activate: the launchers explain that to a user who runs Python.

_mb_login() {
    # As in exec: if this is set, activate.sh leaves _mb_folder, the folder of the generation.
    _mb_home=/opt/monobase
    while :; do
        # shellcheck source=runtime/activate.sh
        . "$_mb_home/activate.sh" || return 0
        # A lease like that of exec, for the shell and the processes that it starts. If descriptor 9 is in use, by a lease or
        # otherwise, it stays. If the lock is not free at once, the shell has no lease.
        if [ "${MONOBASE_LEASE:-0}" != 1 ] || [ -e /proc/self/fd/9 ]; then
            return 0
        fi
        # shellcheck disable=SC2154 # activate.sh sets it
        if { command exec 9<"$_mb_folder"; } 2>/dev/null; then
            if ! flock -s -n 9 2>/dev/null; then
                exec 9<&-
                echo "monobase: warning: MONOBASE_LEASE=1, but flock cannot lock $_mb_folder; this shell has no lease" >&2
                return 0
            fi
            # shellcheck disable=SC3013 # all shells have -ef, and POSIX has it since 2024
            if [ ! -d /proc/self/fd/9 ] || [ /proc/self/fd/9 -ef "$_mb_folder" ]; then
                return 0
            fi
            exec 9<&-
        elif [ -d "$_mb_folder" ]; then
            return 0
        fi
        # The generation was pruned since: activate again.
    done
}

export PATH="/opt/monobase/bin:$PATH:/usr/local/nvidia/bin"
if [ -n "${PYTHON_VERSION-}${MONOBASE_STACK-}" ] && [ -d "${MONOBASE_PREFIX:-/srv/r8/monobase}" ]; then
    _mb_wait_set=${MONOBASE_WAIT_S+set} _mb_wait=${MONOBASE_WAIT_S-}
    # An interactive shell does not wait for an installation; a script does, if the variable says so.
    case $- in *i*) export MONOBASE_WAIT_S=0 ;; esac
    # (Under `set -e`, dash would exit if the activation fails, even in a condition.)
    case $- in
    *e*) set +e && _mb_login && set -e ;;
    *) _mb_login ;;
    esac
    if [ -n "$_mb_wait_set" ]; then
        MONOBASE_WAIT_S=$_mb_wait
    else
        unset MONOBASE_WAIT_S
    fi
    unset _mb_home _mb_folder _mb_wait _mb_wait_set
fi
unset -f _mb_login
