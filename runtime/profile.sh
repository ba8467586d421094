# shellcheck shell=sh
# /etc/profile.d/monobase.sh: a login shell is activated, as /etc/profile has just set PATH anew. See README.md.
#
# Nothing is said where there is nothing to activate: the launchers say why when somebody asks for Python.

_mb_login() {
    # As in exec: activate.sh leaves _mb_folder, the generation, to whoever has set this.
    _mb_home=/opt/monobase
    while :; do
        # shellcheck source=runtime/activate.sh
        . "$_mb_home/activate.sh" || return 0
        # A lease like that of exec, for as long as the shell and what it starts live. A shell that has one, or has another
        # use for descriptor 9, keeps that; one that cannot have a lease at once does without.
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
        # It was pruned meanwhile.
    done
}

export PATH="/opt/monobase/bin:$PATH:/usr/local/nvidia/bin"
if [ -n "${PYTHON_VERSION-}" ] && [ -d "${MONOBASE_PREFIX:-/srv/r8/monobase}" ]; then
    _mb_wait_set=${MONOBASE_WAIT_S+set} _mb_wait=${MONOBASE_WAIT_S-}
    # Who looks into a container does not wait for an installation; a script does, if the variable says so.
    case $- in *i*) export MONOBASE_WAIT_S=0 ;; esac
    # (dash would end when an activation fails, whatever stands around it.)
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
