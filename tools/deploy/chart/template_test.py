"""Templates: what is YAML stays YAML, and each expression stands where its indentation is right."""

from typing import Any

import pytest
import yaml

from tools.deploy.chart.template import Block, Fields, Scalar, When, to_template


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [{"c": "1", "d": [1, True, None]}, "x: y"]}, "e": [], "f": {}, "g": ""},
        {"a": [{"b": {"c": 1}}, {"b": ["d"]}]},
        {"a": "first\nsecond\n", "b: c": "# no comment", "ü": "€"},
    ],
)
def test_without_expressions_a_template_is_the_value_itself(value: dict[str, Any]) -> None:
    assert yaml.safe_load(to_template(value)) == value


def test_braces_of_prometheus_are_not_those_of_helm() -> None:
    assert to_template({"a": "{{ $labels.node }}"}) == 'a: "{{ "{{" }} $labels.node }}"\n'


def test_expressions_have_the_depth_of_their_place() -> None:
    template = to_template(
        {
            "a": {"b": Block(".Values.b"), "c": Scalar(".Values.c")},
            "d": [{"e": "f"}, When(".Values.g", [Block(".Values.g")])],
            "h": When(".Values.i", {"j": "k"}),
            "more": Fields(".Values.l"),
        }
    )
    assert template.splitlines() == [
        "a:",
        "  b:",
        "    {{- toYaml (.Values.b) | nindent 4 }}",
        "  c: {{ .Values.c }}",
        "d:",
        "  - e: f",
        "  {{- if .Values.g }}",
        "  {{- toYaml (.Values.g) | nindent 2 }}",
        "  {{- end }}",
        "{{- if .Values.i }}",
        "h:",
        "  j: k",
        "{{- end }}",
        "{{- with .Values.l }}",
        "{{- toYaml (.) | nindent 0 }}",
        "{{- end }}",
    ]
