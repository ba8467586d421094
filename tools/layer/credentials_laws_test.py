"""No lock, label or message has a credential of a URL, in whatever form an author wrote it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

from hypothesis import assume, given
from hypothesis import strategies as st

from gens import redaction
from tests.laws import examples
from tools.layer import credentials
from tools.layer.credentials import expand_variables, safe_text, shown_index, without_credentials
from tools.layer.errors import RequirementsError
from tools.layer.index_url import check_index_url
from tools.layer.requirement_text import parse_requirement

_HERE = Path("/work")
_SECRETS = st.text(st.sampled_from("abYZ019@:/#?&=%+-._~!$"), min_size=8, max_size=16)
_FORMS = (
    "https://me:{}@host.example/{}",
    "https://{}@host.example/{}",
    "https://{}:x-oauth-basic@host.example:8443/{}",
    "git+https://me:{}@host.example/{}",
    "git+https://{}@host.example/{}",
    "git+ssh://git:{}@host.example/{}",
    "https://host.example/{1}?token={0}",
    "https://host.example/{1}?ref=main&sig={0}",
    "https://host.example/{1}?{0}",
    "https://host.example/{1}#token={0}",
)
_FILES = ("x-1.0-py3-none-any.whl", "x-1.0.tar.gz", "x.git", "x.git@v1", "simple/")


@contextmanager
def _nothing_learnt() -> Iterator[None]:
    with (
        patch.object(redaction, "_learnt", set()),
        patch.object(redaction, "_pattern", None),
        patch.object(credentials, "_variables", {}),
    ):
        yield


def _shows(secret: str, text: str) -> bool:
    return any(spelling in text for spelling in (secret, quote(secret, safe="")))


def _texts_of(requirement: str) -> list[str]:
    """Return all that a lock and a message have of a requirement."""
    try:
        found = parse_requirement(requirement, "a.in:1", _HERE, _HERE)
    except RequirementsError as error:
        return [str(error)]
    assert found.source is not None
    return [found.text, found.shown, without_credentials(found.source.location)]


@examples(200)
@given(_SECRETS, st.sampled_from(_FORMS), st.sampled_from(_FILES), st.booleans())
def test_no_form_of_a_url_shows_its_secret(secret: str, form: str, file: str, is_raw: bool) -> None:
    written = secret if is_raw and not set(secret) & set("/#?&%:") else quote(secret, safe="")
    url = form.format(written, file)
    with _nothing_learnt():
        texts = [without_credentials(text) for text in (url, f"{url} ; x > '3'", f"fatal: '{url}' failed")]
        texts += [shown_index(url), *_texts_of(f"x @ {url}"), *_texts_of(url)]
        # Once it is known, no program's words show it, however they spell it.
        said = f"cannot open {written}, nor {secret} (/x?y={written})"
        texts.append(safe_text(said) if "#" not in form else "")
    assert [text for text in texts if _shows(secret, text)] == []


@examples(200)
@given(_SECRETS, st.sampled_from(_FORMS[:6]))
def test_a_raw_secret_that_breaks_its_url_is_not_shown(secret: str, form: str) -> None:
    # What stands between an @ and a slash, or like a port before a slash, is a host for every reader.
    assume(re.match(r"[0-9]*([/?#]|$)", secret) is None and re.search(r"@[^/?#]*[/?#]", secret) is None)
    # Without a colon before it, the first slash ends the host for every reader.
    assume("me:{}" in form or "git:{}" in form or not set(secret) & set("/?#"))
    url = form.format(secret, "x.git")
    with _nothing_learnt():
        texts = [without_credentials(url), shown_index(url), *_texts_of(f"x @ {url}")]
        try:
            check_index_url(url)
        except ValueError as error:
            texts.append(str(error))
    assert [text for text in texts if secret in text] == []


@examples(60)
@given(
    _SECRETS, st.sampled_from(("https://{}@h.example/s", "https://h.example/{}/simple", "file:///srv/{}/"))
)
def test_the_value_of_a_variable_is_shown_as_the_variable(secret: str, form: str) -> None:
    value = quote(secret, safe="")
    with _nothing_learnt(), patch.dict(os.environ, {"TOKEN_OF_TEST": value}):
        url = expand_variables(form.format("${TOKEN_OF_TEST}"))
        assert url == form.format(value)
        assert value not in shown_index(url)
