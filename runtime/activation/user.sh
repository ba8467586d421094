# shellcheck shell=sh disable=SC3028 # EUID is asked for in bash and zsh alone
# Finds the user's name: Kubernetes runs containers as users whom the image does not know.
_mb_functions="$_mb_functions _mb_find_user _mb_set_user"
_mb_variables="$_mb_variables _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_other _mb_user _mb_user_home"
unset _mb_user

_mb_find_user() { # sets _mb_uid, and _mb_user and _mb_user_home from /etc/passwd; empty if unknown
    [ -z "${_mb_user+set}" ] || return 0
    _mb_user='' _mb_user_home=''
    if [ -n "${BASH_VERSION-}${ZSH_VERSION-}" ]; then
        _mb_uid=$EUID
    elif [ -z "$_mb_uid" ] && [ -r /proc/self/status ]; then
        while read -r _mb_kind _mb_1 _mb_uid _mb_item && [ "$_mb_kind" != Uid: ]; do :; done </proc/self/status
    fi
    [ -n "$_mb_uid" ] && [ -r /etc/passwd ] || return 0
    while IFS=: read -r _mb_1 _mb_2 _mb_3 _mb_4 _mb_5 _mb_item _mb_other || [ -n "$_mb_1" ]; do
        if [ "$_mb_3" = "$_mb_uid" ]; then
            _mb_user=$_mb_1
            _mb_user_home=$_mb_item
            break
        fi
    done </etc/passwd
}

_mb_set_user() { # Python's getpass reads four variables, then /etc/passwd, which lacks most uids of Kubernetes
    _mb_find_user
    if [ -n "$_mb_uid" ] && [ -z "$_mb_user" ]; then
        _mb_set USER "uid$_mb_uid"
        _mb_set LOGNAME "uid$_mb_uid"
    fi
}
