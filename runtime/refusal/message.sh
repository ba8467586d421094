# shellcheck shell=sh disable=SC2154 # activate.sh sets them
# Prints messages to stderr, with invisible characters escaped.
_mb_functions="$_mb_functions _mb_fail _mb_log_controls _mb_show_controls _mb_show_invisible"
_mb_variables="$_mb_variables _mb_char _mb_code_point _mb_invisible _mb_line _mb_rest _mb_shown _mb_summary _mb_todo"

_mb_log_controls() { # LEVEL TEXT: logs a text that contains control characters
    _mb_show_controls "$2"
    _mb_log "$1" "$_mb_shown"
}

_mb_fail() { # EXIT_CODE SUMMARY [LINE ...]: prints an error, at any log level, and returns the code
    _mb_code=$1
    _mb_show_invisible "$2"
    _mb_summary=$_mb_shown
    printf 'monobase: error: %s\n' "$_mb_summary" >&2
    shift 2
    for _mb_line in "$@"; do
        _mb_show_invisible "$_mb_line"
        printf '    %s\n' "$_mb_shown" >&2
    done
    case $_mb_summary in
    *\\r*)
        printf '    %s\n' 'The \r is a carriage return: a file of variables with Windows line ends (CRLF) leaves one after each value.' >&2
        ;;
    *\\u[0-9a-f][0-9a-f][0-9a-f][0-9a-f]* | *\\[0-7][0-7][0-7]* | *\\[nt]*)
        printf '    %s\n' 'A backslash stands for a character that cannot be seen: type the value again without it.' >&2
        ;;
    esac
    return "$_mb_code"
}

_mb_show_controls() { # TEXT: sets _mb_shown to the text with its control characters escaped
    _mb_shown=$1
    case $1 in *[[:cntrl:]]*) ;; *) return 0 ;; esac
    _mb_todo=$1
    _mb_shown=
    while [ -n "$_mb_todo" ]; do
        _mb_rest=${_mb_todo#?}
        _mb_char=${_mb_todo%"$_mb_rest"}
        _mb_todo=$_mb_rest
        case $_mb_char in
        [[:cntrl:]])
            _mb_char=$(printf '%03o' "'$_mb_char")
            case $_mb_char in 011) _mb_char=t ;; 012) _mb_char=n ;; 015) _mb_char=r ;; esac
            _mb_char="\\$_mb_char"
            ;;
        esac
        _mb_shown=$_mb_shown$_mb_char
    done
}

_mb_show_invisible() { # TEXT: escapes invisible characters of Unicode too; it starts a process
    _mb_show_controls "$1"
    case $_mb_shown in *[![:print:]]* | *[!\ -~]*) ;; *) return 0 ;; esac
    if [ -z "${_mb_invisible-}" ]; then
        _mb_invisible=$(printf '%b' '\0302\0240=00a0 \0302\0255=00ad \0343\0200\0200=3000 \0342\0201\0240=2060 \0357\0273\0277=feff')
        _mb_invisible="$_mb_invisible $(printf '%b' '\0342\0200\0207=2007 \0342\0200\0211=2009 \0342\0200\0213=200b \0342\0200\0214=200c')"
        _mb_invisible="$_mb_invisible $(printf '%b' '\0342\0200\0215=200d \0342\0200\0216=200e \0342\0200\0217=200f \0342\0200\0257=202f')"
    fi
    for _mb_char in $_mb_invisible; do
        _mb_code_point=${_mb_char#*=}
        _mb_char=${_mb_char%%=*}
        while :; do
            case $_mb_shown in
            *"$_mb_char"*) _mb_shown="${_mb_shown%%"$_mb_char"*}\\u$_mb_code_point${_mb_shown#*"$_mb_char"}" ;;
            *) break ;;
            esac
        done
    done
}
