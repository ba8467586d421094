"""The laws of passwords: none is shown in any spelling, and what holds none is shown as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote

from hypothesis import assume, example, given
from hypothesis import strategies as st

from gens import redaction
from gens.redaction import learn, redact

# No blanks, which end an URL in a list of them, and no `*`, which is the mask.
_PASSWORDS = st.text(st.sampled_from("abZ09/?#@:%&=+-._~!$'()[]{}^\\ü€💾"), min_size=4, max_size=12)
_USERS = st.sampled_from(["", "me", "a-token-of-mine", "me%40corp"])
_BEFORE = st.sampled_from(["", "error: ", "cause:\t", "<", "(", "https://x.example/ "])
_AFTER = st.sampled_from(["", " tried again", ">", "\n"])


@contextmanager
def _nothing_learnt() -> Iterator[None]:
    before, redaction._learnt, redaction._pattern = redaction._learnt, set(), None
    try:
        yield
    finally:
        redaction._learnt, redaction._pattern = before, None
        learn()


def _shown(password: str, text: str) -> bool:
    return any(password in spelling for spelling in (text, unquote(text), unquote(unquote(text))))


@given(_PASSWORDS, _USERS, _BEFORE, _AFTER, st.data())
@example("a%2F%2Fb", "me", "", "", None)
@example("@@@@", "me", "", "", None)
def test_a_password_that_was_learnt_is_shown_in_no_spelling(
    password: str, user: str, before: str, after: str, data: st.DataObject | None
) -> None:
    rest = f"{before}{user}{after}index.example/simple/"
    assume(not _shown(password, rest) and not _shown(unquote(password), rest))
    raw = data.draw(st.booleans()) if data is not None else True
    encoded = [data is not None and data.draw(st.booleans()) for _ in password]
    spelling = "".join(
        quote(sign, safe="") if is_encoded else sign
        for sign, is_encoded in zip(password, encoded, strict=True)
    )
    with _nothing_learnt():
        learn(f"https://{user}:{password if raw else quote(password, safe='')}@index.example/simple/")
        for text in (spelling, f"https://{user}:{spelling}@index.example/simple/"):
            assert not _shown(password, redact(f"{before}{text}{after}"))


@given(_PASSWORDS, _USERS, _BEFORE, _AFTER)
def test_one_that_nobody_learnt_is_not_shown_within_an_url(
    password: str, user: str, before: str, after: str
) -> None:
    assume("'" not in password)  # it ends an URL in what uv says
    assume(not _shown(password, f"{before}{user}{after}https://***@index.example/simple/"))
    with _nothing_learnt():
        shown = redact(f"{before}https://{user}:{password}@index.example/simple/{after}")
    assert not _shown(password, shown)
    assert shown.endswith(f"index.example/simple/{after}")


@given(st.text().filter(lambda text: "://" not in text))
def test_what_holds_no_url_and_nothing_learnt_is_shown_as_it_is(text: str) -> None:
    with _nothing_learnt():
        assert redact(text) == text
