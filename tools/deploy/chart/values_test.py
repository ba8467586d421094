"""Values: a comment above each, and a schema that knows no others."""

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from tools.deploy.chart.values import Value, Values, defaults, values_schema, values_yaml

VALUES: Values = {
    "range": {
        "minGenId": Value(None, {"type": ["integer", "null"]}, "Oldest generation"),
        "step": Value(1, {"type": "integer"}, "Step"),
    },
    "env": Value({"A": "1"}, {"type": "object"}, "Variables"),
}


def test_the_file_has_the_defaults_with_what_they_mean() -> None:
    text = values_yaml(VALUES)
    assert (
        yaml.safe_load(text)
        == defaults(VALUES)
        == {
            "range": {"minGenId": None, "step": 1},
            "env": {"A": "1"},
        }
    )
    assert "  # Oldest generation\n  minGenId: null\n" in text
    assert "# Variables\nenv:\n  A: '1'\n" in text


# Helm validates a user's values together with the defaults.
@pytest.mark.parametrize(
    "values", [{}, {"range": {"minGenId": 3, "step": 2}}, {"env": {}, "global": {"a": 1}}]
)
def test_the_schema_accepts_what_there_is(values: dict[str, object]) -> None:
    jsonschema.validate({**defaults(VALUES), **values}, values_schema(VALUES))


@pytest.mark.parametrize(
    "values",
    [
        {"ranges": {}},
        {"range": {"minGenID": 3, "step": 1}},
        {"range": {"minGenId": "3", "step": 1}},
    ],
)
def test_the_schema_refuses_what_nothing_reads(values: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**defaults(VALUES), **values}, values_schema(VALUES))


def test_a_user_may_remove_a_mapping_and_what_may_be_null_and_nothing_else() -> None:
    schema = values_schema(VALUES)
    jsonschema.validate({"range": {"step": 1}}, schema)
    for values, missing in (({"env": {}}, "'range'"), ({"range": {"minGenId": 3}}, "'step'")):
        with pytest.raises(jsonschema.ValidationError, match=f"{missing} is a required property"):
            jsonschema.validate(values, schema)
