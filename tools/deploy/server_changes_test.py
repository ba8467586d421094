"""Finding fields that the API server drops or rewrites: each kind once, and none where it keeps them."""

from typing import Any

import pytest

from tools.deploy.server_changes import canonical_quantity, server_changes


def _pod(**fields: object) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", **fields}]}}


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({"env": [{"name": "A", "value": ""}]}, "env[0].value is '', which is dropped; leave it out"),
        ({"env": []}, "env is [], which is dropped; leave it out"),
        ({"env": None}, "env is None, which is dropped; leave it out"),
        ({"stdin": False}, "stdin is False, which is dropped; leave it out"),
        ({"resources": {"limits": {}}}, "resources.limits is {}, which is dropped; leave it out"),
        ({"resources": {"limits": {"cpu": "0.5"}}}, "resources.limits.cpu is '0.5', which becomes '500m'"),
        ({"resources": {"requests": {"cpu": 1}}}, "resources.requests.cpu is 1, which becomes '1'"),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            "env has 2 items with name A, which apply merges into one",
        ),
        (
            {"ports": [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]},
            "ports has 2 items with containerPort 53, which apply merges into one",
        ),
    ],
)
def test_a_field_that_the_server_changes_is_reported(fields: dict[str, Any], change: str) -> None:
    assert server_changes(_pod(**fields)) == [f"Pod/a: spec.containers[0].{change}"]


def test_fields_that_mean_something_when_they_are_empty_are_kept() -> None:
    context = {"runAsUser": 0, "allowPrivilegeEscalation": False}
    pod = _pod(securityContext=context, env=[{"name": "A"}, {"name": "B", "value": "0"}])
    pod["spec"] |= {"automountServiceAccountToken": False, "volumes": [{"name": "t", "emptyDir": {}}]}
    assert server_changes(pod) == []


def test_a_zero_is_not_taken_for_false_nor_an_empty_text_for_an_empty_map() -> None:
    pod = _pod(securityContext={"allowPrivilegeEscalation": 0})
    pod["spec"]["volumes"] = [{"name": "t", "emptyDir": ""}]
    assert len(server_changes(pod)) == 2


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("100m", "100m"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.50", "1500m"),
        ("0", "0"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1M", "1M"),
        ("1000000", "1M"),
    ],
)
def test_a_quantity_is_written_as_the_server_writes_it(text: str, canonical: str) -> None:
    assert canonical_quantity(text) == canonical
    assert canonical_quantity(canonical) == canonical


@pytest.mark.parametrize("text", ["", "1 Gi", "1GB", "1e3", "a"])
def test_a_text_that_is_not_a_plain_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantity|exponent"):
        canonical_quantity(text)
