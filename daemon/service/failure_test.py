"""Failures as everybody may see them."""

import pytest

from daemon import errors
from daemon.service.failure import KINDS, for_everybody, kind_of, text_of
from gens.errors import DefinitionError, LockError, MonobaseError, SumsError


def test_passwords_of_urls_are_not_shown() -> None:
    shown = for_everybody("failed to fetch\nhttps://user:secret@index.example/simple/ twice")
    assert shown == "failed to fetch https://index.example/simple/ twice"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.DiskError(""), "disk"),
        (errors.IndexAccessError(""), "index"),
        (errors.IndexUnreachableError(""), "index"),
        (errors.NotOnIndexError(""), "index"),
        (errors.DamageError(""), "damage"),
        (errors.WheelContentError(""), "wheel"),
        (errors.InterpreterError(""), "interpreter"),
        (errors.MachineError(""), "machine"),
        (errors.ProgramKilledError(""), "machine"),
        (errors.PrefixInUseError(""), "in-use"),
        (DefinitionError(""), "definition"),
        (LockError(""), "definition"),
        (SumsError(""), "other"),
        (OSError(5, ""), "disk"),
        (ValueError(""), "internal"),
    ],
)
def test_each_error_has_a_kind(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


def test_the_metrics_have_a_series_for_each_kind() -> None:
    def kinds(error: type[MonobaseError]) -> set[str]:
        return {error.kind}.union(*(kinds(child) for child in error.__subclasses__()))

    assert set(KINDS) == kinds(MonobaseError) | {"internal"}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.DiskError("/srv: full"), "/srv: full"),
        (OSError(28, "No space left on device", "/srv/x"), "/srv/x: No space left on device"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (OSError("no number"), "no number"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_text_of_an_error_names_what_failed(error: Exception, text: str) -> None:
    assert text_of(error) == text
