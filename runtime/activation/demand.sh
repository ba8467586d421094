# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Asks the node's daemon for what is not installed yet, and shows how far it is.
#
# The daemon keeps an empty file for each environment and toolkit that it could install. A shared lock on it asks for that one
# (daemon/prefix/demand.py); it needs no write access, and ends with the process that holds it.
_mb_functions="$_mb_functions _mb_request _mb_show_progress"
_mb_variables="$_mb_variables _mb_done _mb_shown _mb_total"
_mb_shown=''

_mb_request() { # asks for _mb_lack for a second
    _mb_item=$_mb_generations/.demand/${_mb_folder##*/}/$_mb_lack
    # -n: another model may hold an exclusive lock for any time, which asks as well.
    if [ ! -f "$_mb_item" ] || ! flock -n -s "$_mb_item" sleep 1 2>/dev/null; then
        sleep 1
    fi
    return 0
}

_mb_show_progress() { # every 5 seconds
    [ "$((_mb_waited_s % 5))" = 0 ] && [ -r "$_mb_generations/.progress" ] || return 0
    while read -r _mb_item _mb_found _mb_state _mb_done _mb_total; do
        if [ "$_mb_item $_mb_found" != "${_mb_folder##*/} $_mb_lack" ] || [ "$_mb_state $_mb_done" = "$_mb_shown" ]; then
            continue
        fi
        case $_mb_done:$_mb_total in
        *[!0123456789:]* | :* | *: | *:*:*) continue ;;
        0[0123456789]* | *:0[0123456789]*) continue ;; # octal to some shells
        esac
        # A shell cannot compute with longer numbers: dash would end.
        [ "${#_mb_done}" -le 15 ] && [ "${#_mb_total}" -le 15 ] || continue
        _mb_shown="$_mb_state $_mb_done"
        case $_mb_state in
        queued) _mb_state="waits for its turn" ;;
        fetch)
            _mb_state="downloading $((_mb_done / 1000000)) of $((_mb_total / 1000000)) MB"
            [ "$_mb_total" = 0 ] || _mb_state="$_mb_state ($((_mb_done * 100 / _mb_total)) %)"
            ;;
        link | compile | lay-out | seal) _mb_state="installing ($_mb_state)" ;;
        *) continue ;;
        esac
        _mb_log warning "$_mb_lack: $_mb_state, after $_mb_waited_s s"
    done <"$_mb_generations/.progress"
}
