# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Compares versions: numbers with dots between them.
_mb_functions="$_mb_functions _mb_is_newer _mb_is_same_version _mb_take_number_of"
_mb_variables="$_mb_variables _mb_left _mb_right _mb_number"

_mb_take_number_of() { # PART: sets _mb_number to the number that a part of a version begins with, such as 0 of 0rc1
    _mb_number=${1%%[!0123456789]*}
    while [ "${#_mb_number}" -gt 1 ] && [ "$_mb_number" != "${_mb_number#0}" ]; do
        _mb_number=${_mb_number#0} # some shells read 08 as octal
    done
    # A shell cannot compute with longer numbers: they are all as large as can be.
    [ "${#_mb_number}" -le 9 ] || _mb_number=999999999
    _mb_number=${_mb_number:-0}
}

_mb_is_newer() { # VERSION THAN: whether the first version is newer than the second
    _mb_left=$1. _mb_right=$2.
    while [ -n "$_mb_left$_mb_right" ]; do
        _mb_take_number_of "${_mb_right%%.*}"
        set -- "$_mb_number"
        _mb_take_number_of "${_mb_left%%.*}"
        [ "$_mb_number" = "$1" ] || {
            [ "$_mb_number" -gt "$1" ]
            return
        }
        _mb_left=${_mb_left#*.} _mb_right=${_mb_right#*.}
    done
    return 1
}

_mb_is_same_version() { # VERSION OTHER: whether they are equal as in `==` of Python's packages: 0.33 is 0.33.0
    _mb_left=$1 _mb_right=$2
    while [ "$_mb_left" != "${_mb_left%.0}" ]; do
        _mb_left=${_mb_left%.0}
    done
    while [ "$_mb_right" != "${_mb_right%.0}" ]; do
        _mb_right=${_mb_right%.0}
    done
    [ "$_mb_left" = "$_mb_right" ]
}
