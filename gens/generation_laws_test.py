"""The laws of definitions: read back as they were written; another definition has another digest."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Inputs, Toolkit, format_generation, parse_generation
from tests.laws.wheels import package_names, versions

_PATH = Path("gens/g00003.json")
_NUMBERS = st.integers(0, 30)
_MINORS = _NUMBERS.map("3.{}".format)
_PLATFORM = "x86_64-manylinux_2_28"
_BOUND = "2026-11-01T00:00:00Z"
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_REQUIREMENTS = st.lists(st.builds("{}=={}".format, package_names(), versions()), max_size=3).map(tuple)
_INPUTS = st.builds(
    Inputs,
    python=st.builds("{}.{}".format, _MINORS, _NUMBERS),
    platform=st.just(_PLATFORM),
    exclude_newer=st.just(_BOUND),
    requirements=_REQUIREMENTS,
    constraints=_REQUIREMENTS,
    index_url=st.none() | st.just("https://one.example/cu118"),
    index_packages=st.lists(package_names(), max_size=2).map(tuple),
    no_deps=st.booleans(),
)


def _environment(inputs: Inputs, torch: tuple[str, str] | None) -> Environment:
    minor = inputs.python.rpartition(".")[0]
    if torch is None:
        return Environment(minor, inputs.python, inputs)
    release, build = torch
    return Environment(minor, inputs.python, inputs, release, build, None if build == "cpu" else "12.1")


_TORCHES = st.tuples(st.builds("2.{}.{}".format, _NUMBERS, _NUMBERS), st.sampled_from(["cu121", "cpu"]))
_ENVIRONMENTS = st.builds(_environment, _INPUTS, st.none() | _TORCHES)
_TOOLKITS = st.builds(
    lambda number, inputs: Toolkit("cuda", f"12.{number}", f"12.{number}.1", inputs), _NUMBERS, _INPUTS
) | st.builds(
    lambda number, major, inputs: Toolkit("cudnn", f"{number}", f"{number}.1.0.70", inputs, f"{major}"),
    _NUMBERS, _NUMBERS, _INPUTS,
)  # fmt: skip
_GENERATIONS = st.builds(
    Generation,
    id=st.integers(0, 200_000),
    platform=st.just(_PLATFORM),
    exclude_newer=st.just(_BOUND),
    environments=st.lists(_ENVIRONMENTS, max_size=3, unique_by=lambda target: target.name).map(tuple),
    toolkits=st.lists(_TOOLKITS, max_size=3, unique_by=lambda target: target.name).map(tuple),
    python=st.dictionaries(_MINORS, _MINORS.map("{}.1".format), max_size=2),
    cuda=st.dictionaries(_NUMBERS.map("12.{}".format), _NUMBERS.map("12.{}.1".format), max_size=2),
    cudnn=st.dictionaries(_NUMBERS.map(str), _NUMBERS.map("{}.1.0.70".format), max_size=2),
    torch=st.lists(_NUMBERS.map("2.{}.1".format), max_size=2).map(tuple),
    packages=st.lists(package_names(), max_size=2).map(tuple),
    indexes=st.dictionaries(st.just("cu118"), st.just("https://one.example/cu118")),
    absences=st.lists(_INPUTS, max_size=1).map(tuple),
)


def _read_or_refusal(content: bytes) -> Generation | str:
    try:
        return parse_generation(content, _PATH)
    except DefinitionError as error:
        return str(error)


@given(_GENERATIONS)
def test_a_definition_is_read_back_as_it_was_written(generation: Generation) -> None:
    text = format_generation(generation)
    read = parse_generation(text, _PATH)
    assert read == generation
    assert read.digest == generation.digest
    assert format_generation(read) == text


@given(_GENERATIONS, st.data())
def test_a_text_is_a_definition_or_is_refused_by_its_path(
    generation: Generation, data: st.DataObject
) -> None:
    content = format_generation(generation).encode()
    first = data.draw(st.integers(0, len(content)))
    last = data.draw(st.integers(first, min(len(content), first + 30)))
    put = data.draw(
        st.binary(max_size=4)
        | st.sampled_from([b"-1", b"9" * 5_000, b"1e999", b"NaN", b'"\\ud800"', b"null", b"[]"])
    )
    read = _read_or_refusal(content[:first] + put + content[last:])
    if isinstance(read, str):
        assert read.startswith(f"{_PATH}: ")
    else:
        assert parse_generation(format_generation(read), _PATH) == read


@given(_INPUTS, _INPUTS)
def test_two_inputs_have_one_digest_only_if_they_are_the_same(one: Inputs, other: Inputs) -> None:
    assert (one.digest == other.digest) == (one == other)


@given(_GENERATIONS, _TEXTS)
def test_another_definition_has_another_digest(generation: Generation, text: str) -> None:
    others = [
        replace(generation, id=generation.id + 1),
        replace(generation, platform=f"{generation.platform}{text}."),
        replace(generation, packages=(*generation.packages, f"{text}.")),
        replace(generation, python=generation.python | {f"{text}.": "3.11.1"}),
    ]
    assert len({generation.digest, *(other.digest for other in others)}) == 1 + len(others)
