"""Redaction: removes the passwords of URLs from every text that is shown.

There are two ways. A password that was read anywhere (`learn`) is found in every spelling: raw,
percent-encoded in part or whole, decoded, and as an HTTP header. And in any URL, the part before the last `@`
may be a password, though a parser does not see one if it contains a raw `/`.

A learnt password is kept for the whole process: a secret in one place is a secret everywhere.
"""

import base64
import re
import threading
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

MASK = "***"
# A shorter password would be found in many words. Between `://` and `@` its length does not matter.
_LEAST_CHARACTERS = 4
_LEAST_USER_CHARACTERS = 8  # a name alone may be a token, or just a name
_USER_INFO = re.compile(r"(?<=://)[^\s\"'`<>|]*@")
_PASSWORD_VARIABLE = re.compile(r"UV_INDEX_.+_PASSWORD|(?:UV|PYX)_.*(?:TOKEN|API_KEY)|AWS_SE.+|HF_TOKEN")
_learnt: set[str] = set()
_pattern: re.Pattern[str] | None = None
_guard = threading.Lock()


def learn(*texts: str | None) -> None:
    """Remember the passwords of URLs.

    Args:
        texts: URLs, or lists of them with blanks between; those without a password are ignored.
    """
    _remember(secret for text in texts if text for url in text.split() for secret in _secrets(url))


def learn_variables(variables: Mapping[str, str]) -> None:
    """Remember the passwords that environment variables hold.

    Args:
        variables: Such as `os.environ`.
    """
    learn(*(value for value in variables.values() if "://" in value and "@" in value))
    _remember(value for name, value in variables.items() if _PASSWORD_VARIABLE.fullmatch(name))


def remember(*secrets: str) -> None:
    """Remember secrets that are in no user part of a URL, such as a token of its query."""
    _remember(secrets)


def without_learnt(text: str) -> str:
    """Return a text with `***` in place of every secret that was learnt; URLs keep their user parts."""
    pattern = _pattern  # another thread may learn meanwhile
    return text if pattern is None else pattern.sub(MASK, text)


def redact(text: str) -> str:
    """Return a text without passwords.

    Args:
        text: Such as a message of uv.

    Returns:
        The text with `***` in their place, or with nothing where the rest of a URL is clear.
    """
    return _USER_INFO.sub(_without, without_learnt(text))


def _without(found: re.Match[str]) -> str:
    """Remove user and password; leave a mask where they may as well be a host and a path."""
    return f"{MASK}@" if re.search(r"[/?#]", found[0]) else ""


def _remember(secrets: Iterable[str]) -> None:
    global _pattern  # noqa: PLW0603 (secrets are the same in the whole process)
    new = {secret for secret in secrets if len(secret) >= _LEAST_CHARACTERS}
    with _guard:
        if new - _learnt:
            _learnt.update(new)
            longest_first = sorted(_learnt, key=len, reverse=True)
            _pattern = re.compile("|".join(map(_spellings, longest_first)))


def _secrets(url: str) -> Iterable[str]:
    """Yield what may be a password in a URL, raw and decoded."""
    _, separator, rest = url.partition("://")
    user_info, at, _ = rest.rpartition("@")
    if not separator or not at:
        return
    user, colon, password = user_info.partition(":")
    for text in {user_info, unquote(user_info)} if colon else ():
        yield text
        yield base64.b64encode(text.encode(errors="surrogateescape")).decode()
    if colon:
        yield password
        yield unquote(password)
        # A parser ends the host at the first of these, and reports the part before it alone.
        begin = re.split(r"[/?#]", password)[0]
        if begin != password:
            yield f"{user}:{begin}"
            yield from () if begin.isdecimal() else (begin,)
    elif len(user) >= _LEAST_USER_CHARACTERS:
        yield user
        yield unquote(user)


def _spellings(secret: str) -> str:
    """Return a pattern that finds each character as itself, percent-encoded, or escaped."""
    return "".join(_spelling(character) for character in secret)


def _spelling(character: str) -> str:
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    escape = r"\\*" if character in "\"'\\" else ""
    return f"(?:{escape}{re.escape(character)}|(?i:{encoded}))"
