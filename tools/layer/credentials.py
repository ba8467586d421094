"""Keeps passwords and tokens of URLs out of locks and messages.

A lock has no user, password or query, and `${NAME}` where an author wrote a variable. Of `ssh`,
the user stays: it is `git` and not secret.
"""

import os
import re
from urllib.parse import unquote

from gens.redaction import MASK, learn, remember, without_learnt

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# Of a run of characters, only the first can begin a scheme or a user: without a look behind, a long word of a
# build's output would take time as the square of its length.
# The part of a URL before its `@`. It ends at the first `/`, unless what follows its colon is not a port.
_USER_INFO = re.compile(
    r"(?<![\w+.-])(?P<scheme>[\w+.-]+)://(?:[^\s/]*@(?!/)|(?=[^\s/@:?#\[]*:(?![0-9]*(?:[\s/?#]|$)))[^\s]*@)"
)
_URL = re.compile(r"(?<![\w+.-])[\w+.-]+://[^\s\"'`<>]+")
# Of what an author meant as a URL: `me:secret@host`, `https:/me:secret@host`.
_WORD = re.compile(r"\S+")
_BARE_USER = re.compile(r"(?<![^\s/:@'\"=(])[^\s/:@'\"=(]+:[^\s/@]+@")
# Nobody writes longer URLs. They are left out as a whole: a part of one could end before its `@`.
_LONG_WORD = re.compile(r"\S{4000,}")
_LEFT_OUT = "[a long word]"
_PUBLIC_FRAGMENTS = ("egg", "md5", "sha1", "sha256", "sha384", "sha512", "subdirectory")
# A shorter value, such as a number or `main`, would be found in many words.
_LEAST_CHARACTERS = 6
_LEAST_TOKEN_CHARACTERS = 8  # of a user, which is a name or a token
_variables: dict[str, str] = {}  # by value: the name


class UnsetVariableError(ValueError):
    """A variable of a URL is not set."""


def expand_variables(text: str) -> str:
    """Return a text with the values of its variables, such as `${TOKEN}`, which no lock will show.

    Raises:
        UnsetVariableError: A variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            raise UnsetVariableError(f"the variable {name} is not set; export it")
        if len(os.environ[name]) >= _LEAST_CHARACTERS:
            _variables[os.environ[name]] = name
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def learn_url(url: str) -> None:
    """Remember the secrets of a URL, so that no message shows them, however uv or Git spell them."""
    found = _USER_INFO.match(url)
    if found is not None:
        # Only this part: what stands before a later `@` is a path, and its revision follows.
        learn(f"{found[0]}host")
        user, _, password = found[0].partition("://")[2].removesuffix("@").partition(":")
        tokens = [user] if password and len(user) >= _LEAST_TOKEN_CHARACTERS else []
        remember(*tokens, *map(unquote, tokens))
    query = url.partition("#")[0].partition("?")[2]
    values = [text for item in query.split("&") for text in (item.partition("=")[2] or item, item)]
    long = [value for value in values if len(value) >= _LEAST_CHARACTERS]
    remember(*long, *map(unquote, long))


def without_credentials(text: str) -> str:
    """Return a text without the credentials of its URLs, as a lock has it."""
    for value in sorted(_variables, key=len, reverse=True):
        text = text.replace(value, f"${{{_variables[value]}}}")
    text = _URL.sub(_without_query, _USER_INFO.sub(_without_user, text))
    return _WORD.sub(lambda word: word[0] if "://" in word[0] else _BARE_USER.sub(f"{MASK}@", word[0]), text)


def shown_index(url: str) -> str:
    """Return the URL of an index as a lock has it: without credentials, query and fragment."""
    return re.split(r"[?#]", without_credentials(url), maxsplit=1)[0]


def safe_text(text: str) -> str:
    """Return a text of uv, Git or Monobase without credentials, and without any secret that was learnt."""
    return without_learnt(without_credentials(_LONG_WORD.sub(_LEFT_OUT, text)))


def _without_user(found: re.Match[str]) -> str:
    scheme, user = found["scheme"], found[0].partition("://")[2].removesuffix("@")
    if scheme.endswith("ssh") and not re.search(r"[\s/?#@]", user):
        user = user.partition(":")[0]
        return f"{scheme}://{user}@" if user else f"{scheme}://"
    return f"{scheme}://"


def _without_query(found: re.Match[str]) -> str:
    """Mask a URL's query, and its fragment but for digests and names."""
    address, hash_sign, fragment = found[0].partition("#")
    path, question_mark, query = address.partition("?")
    items = fragment.split("&") if fragment else []
    public = [item if item.partition("=")[0] in _PUBLIC_FRAGMENTS else MASK for item in items]
    return f"{path}{question_mark}{MASK if query else ''}{hash_sign}{'&'.join(public)}"
