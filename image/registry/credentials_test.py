import base64
import json
import os
import shlex
from pathlib import Path

import pytest

from image.errors import AccessError
from image.oci.reference import parse_repository
from image.registry.credentials import Credentials, find_credentials

SECRET = "right horse"
AUTH = base64.b64encode(f"ada:{SECRET}".encode()).decode()


def find(home: Path, config: object, repository: str = "registry.example.com/a") -> Credentials:
    folder = home / ".docker"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    environment = {"HOME": str(home), "PATH": f"{home}{os.pathsep}{os.environ['PATH']}"}
    return find_credentials(parse_repository(repository), environment)


def helper(home: Path, name: str, script: str) -> None:
    path = home / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def answer(user: str) -> str:
    return "echo " + shlex.quote(json.dumps({"Username": user, "Secret": SECRET}))


@pytest.mark.parametrize("key", ["registry.example.com", "https://registry.example.com/v1/"])
def test_an_entry_is_found_by_host_or_old_address(tmp_path: Path, key: str) -> None:
    found = find(tmp_path, {"auths": {key: {"auth": AUTH}}})

    assert (found.user, found.password, found.basic) == ("ada", SECRET, AUTH)


def test_an_entry_of_another_host_is_not_taken(tmp_path: Path) -> None:
    found = find(
        tmp_path, {"auths": {"example.com": {"auth": AUTH}, "registry.example.com:5000": {"auth": AUTH}}}
    )

    assert found.basic is None
    assert found.origin == f"{tmp_path}/.docker/config.json has no credentials for registry.example.com"


def test_docker_hub_is_found_by_its_own_key(tmp_path: Path) -> None:
    found = find(tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}, "docker.io/team/a")

    assert found.user == "ada"


@pytest.mark.parametrize(
    ("key", "repository"),
    [
        ("Registry.Example.com", "registry.example.com/a"),
        ("registry.example.com/", "registry.example.com/a"),
        ("https://registry.example.com", "registry.example.com/a"),
        ("registry.example.com/v2/", "registry.example.com/a"),
        ("registry.example.com:5000", "registry.example.com:5000/a"),
        ("registry.example.com/team", "registry.example.com/team/wheels"),
        ("https://registry.example.com/team/wheels", "registry.example.com/team/wheels"),
        ("*.example.com", "registry.example.com/a"),
        ("*.example.com:5000/team", "registry.example.com:5000/team/wheels"),
        ("docker.io", "docker.io/team/a"),
        ("https://index.docker.io/v1/", "docker.io/team/a"),
    ],
)
def test_names_of_docker_podman_and_kubernetes_fit(tmp_path: Path, key: str, repository: str) -> None:
    assert find(tmp_path, {"auths": {key: {"auth": AUTH}}}, repository).user == "ada"


@pytest.mark.parametrize(
    "key",
    [
        "example.com", "*", "*.com", "registry.example.com:5000", "registry.example.com/tea",
        "registry.example.com/team/wheels/more", "other.example.com/registry.example.com",
        "*registry.example", "registry.example.com@evil.example", "registryxexample.com", "",
    ],
)  # fmt: skip
def test_names_of_others_do_not_fit(tmp_path: Path, key: str) -> None:
    assert find(tmp_path, {"auths": {key: {"auth": AUTH}}}, "registry.example.com/team/wheels").basic is None


def test_the_name_with_the_longest_path_counts_and_then_the_plain_host(tmp_path: Path) -> None:
    auths = {
        name: {"username": f"user{number}", "password": SECRET}
        for number, name in enumerate(
            ["*.example.com/team", "*.example.com", "registry.example.com/team", "registry.example.com"]
        )
    }
    users = [
        find(tmp_path, {"auths": auths}, f"registry.example.com/{name}").user
        for name in ("team/wheels", "other", "team")
    ]
    assert users == ["user2", "user3", "user2"]


def test_an_empty_store_is_none(tmp_path: Path) -> None:
    found = find(tmp_path, {"auths": {}, "credsStore": "", "credHelpers": {"registry.example.com": ""}})

    assert found.origin == f"{tmp_path}/.docker/config.json has no credentials for registry.example.com"


def test_a_password_may_have_colons(tmp_path: Path) -> None:
    auth = base64.b64encode(b"ada:a:b::c").decode()
    found = find(tmp_path, {"auths": {"registry.example.com": {"auth": auth}}})

    assert (found.user, found.password) == ("ada", "a:b::c")


def test_user_and_password_may_stand_in_the_clear(tmp_path: Path) -> None:
    found = find(tmp_path, {"auths": {"registry.example.com": {"username": "ada", "password": SECRET}}})

    assert found.basic == AUTH


def test_tokens_are_read(tmp_path: Path) -> None:
    found = find(tmp_path, {"auths": {"registry.example.com": {"identitytoken": "i", "registrytoken": "r"}}})

    assert (found.identity_token, found.registry_token, found.basic) == ("i", "r", None)


def test_a_helper_of_the_registry_comes_before_the_store_and_the_file(tmp_path: Path) -> None:
    helper(tmp_path, "own", answer("grace"))
    helper(tmp_path, "store", answer("eve"))

    found = find(
        tmp_path,
        {
            "auths": {"registry.example.com": {"auth": AUTH}},
            "credHelpers": {"registry.example.com": "own"},
            "credsStore": "store",
        },
    )

    assert found.user == "grace"
    assert "docker-credential-own" in found.origin


def test_the_store_serves_all_other_registries(tmp_path: Path) -> None:
    helper(tmp_path, "store", answer("grace"))

    found = find(
        tmp_path,
        {"auths": {"registry.example.com": {}}, "credHelpers": {"b.c": "own"}, "credsStore": "store"},
    )

    assert found.user == "grace"


def test_a_store_that_has_none_leaves_the_file(tmp_path: Path) -> None:
    helper(tmp_path, "store", 'echo "credentials not found in native keychain"; exit 1')

    found = find(tmp_path, {"auths": {"registry.example.com": {"auth": AUTH}}, "credsStore": "store"})

    assert found.user == "ada"


def test_a_helper_may_answer_with_an_identity_token(tmp_path: Path) -> None:
    helper(tmp_path, "store", answer("<token>"))

    found = find(tmp_path, {"credsStore": "store"})

    assert (found.identity_token, found.user) == (SECRET, None)


def test_a_helper_that_is_not_there_is_told_in_the_origin(tmp_path: Path) -> None:
    found = find(tmp_path, {"credsStore": "desktop"})

    assert "names docker-credential-desktop, which is not on the PATH" in found.origin
    assert found.basic is None


def test_a_helper_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    helper(tmp_path, "store", 'echo "the key store is locked"; exit 1')

    with pytest.raises(AccessError, match=r"docker-credential-store, .*: the key store is locked"):
        find(tmp_path, {"credsStore": "store"})


def test_a_malformed_answer_of_a_helper_is_not_quoted(tmp_path: Path) -> None:
    helper(tmp_path, "store", f"echo '{SECRET}'")

    with pytest.raises(AccessError, match="did not answer with Username and Secret") as caught:
        find(tmp_path, {"credsStore": "store"})

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ({"auths": ["x"]}, "its 'auths' is not a JSON object"),
        ({"auths": {"registry.example.com": "x"}}, "is not a JSON object"),
        ({"auths": {"registry.example.com": {"auth": "%%%"}}}, "is not base64"),
        ({"auths": {"registry.example.com": {"auth": "YWRh"}}}, "without a colon"),
        (
            {"auths": {"registry.example.com": {"auth": 7}}},
            "the 'auth' of registry.example.com is not a text",
        ),
        (
            {"auths": {"registry.example.com": {"username": ["x"], "password": "y"}}},
            "'username' .* not a text",
        ),
        ({"auths": {"registry.example.com": {"identitytoken": {}}}}, "'identitytoken' .* is not a text"),
        ({"credsStore": "a\0b"}, "cannot be run"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_malformed_configuration_is_named(tmp_path: Path, config: object, words: str) -> None:
    with pytest.raises(AccessError, match=words) as caught:
        find(tmp_path, config)

    assert f"{tmp_path}/.docker/config.json" in str(caught.value)


def test_no_configuration_is_no_error(tmp_path: Path) -> None:
    found = find_credentials(parse_repository("a.b/c"), {"DOCKER_CONFIG": str(tmp_path / "none")})

    assert found == Credentials(f"{tmp_path}/none/config.json does not exist: no credentials for a.b")


def test_secrets_are_in_no_representation(tmp_path: Path) -> None:
    found = find(
        tmp_path, {"auths": {"registry.example.com": {"auth": AUTH, "identitytoken": "token of ada"}}}
    )

    assert SECRET not in repr(found)
    assert "token of ada" not in repr(found)
