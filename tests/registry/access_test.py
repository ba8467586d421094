import base64
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.oci.layout import Layout
from tests.registry.certificates import Certificate, make_certificate
from tests.registry.cutting_proxy import cutting_proxy
from tests.registry.local_registry import PASSWORD, USER, LocalRegistry, local_registry
from tests.registry.push_process import Pusher
from tests.registry.sample_layout import write_sample_layout
from tests.registry.token_service import IDENTITY_TOKEN, TokenService, token_service

pytest_plugins = ["tests.registry.fixture"]

BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[LocalRegistry]:
    """A registry that asks for a password."""
    header = {"Authorization": f"Basic {BASIC}"}
    with local_registry(tmp_path / "guarded", htpasswd=True, authorization=header) as running:
        yield running


@pytest.fixture
def image(tmp_path: Path) -> Layout:
    return write_sample_layout(tmp_path / "image", [300_000, 1000])


@pytest.fixture
def signer(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path / "signer")


@pytest.fixture
def service(signer: Certificate) -> Iterator[TokenService]:
    """A token service that lets its user push to team/image and team/base."""
    with token_service(signer, ("team/image", "team/base")) as running:
        yield running


@pytest.fixture
def tokened(tmp_path: Path, service: TokenService) -> Iterator[LocalRegistry]:
    """A registry that asks for a token of the service."""
    token = service.token(("repository:team/image:pull", "repository:team/base:pull"))
    header = {"Authorization": f"Bearer {token}"}
    with local_registry(tmp_path / "tokened", token=service.configuration(), authorization=header) as running:
        yield running


def secretless(text: str) -> bool:
    return not any(secret in text for secret in (PASSWORD, BASIC, IDENTITY_TOKEN, "wrong horse", "Bearer "))


def test_the_password_of_docker_login_opens_a_registry(
    guarded: LocalRegistry, pusher: Pusher, image: Layout
) -> None:
    pusher.write_docker_config({"auths": {guarded.host: {"auth": BASIC}}})

    done = pusher.push(image.directory, f"{guarded.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert guarded.tags("team/image") == ["v1"]
    assert secretless(done.stderr + done.stdout)


def test_a_wrong_password_is_told_with_its_file_and_without_itself(
    guarded: LocalRegistry, pusher: Pusher, image: Layout
) -> None:
    wrong = base64.b64encode(f"{USER}:wrong horse".encode()).decode()
    path = pusher.write_docker_config({"auths": {guarded.host: {"auth": wrong}}})

    done = pusher.push(image.directory, f"{guarded.host}/team/image", "--tag", "v1")

    assert done.returncode == 9
    assert f"credentials: {path} (user {USER})" in done.stderr
    assert f"docker login {guarded.host}" in done.stderr
    assert secretless(done.stderr)
    assert wrong not in done.stderr
    assert "Traceback" not in done.stderr


def test_without_credentials_the_file_that_lacks_them_is_told(
    guarded: LocalRegistry, pusher: Pusher, image: Layout
) -> None:
    done = pusher.push(image.directory, f"{guarded.host}/team/image", "--tag", "v1")

    assert done.returncode == 9
    assert f"{pusher.home}/.docker/config.json does not exist" in done.stderr
    assert f"docker login {guarded.host}" in done.stderr


def test_a_credential_helper_is_asked_for_the_registry(
    guarded: LocalRegistry, pusher: Pusher, image: Layout
) -> None:
    answer = shlex.quote(json.dumps({"ServerURL": "", "Username": USER, "Secret": PASSWORD}))
    pusher.write_helper("sample", f'test "$1 $(cat)" = "get {guarded.host}" && echo {answer}')
    pusher.write_docker_config({"credHelpers": {guarded.host: "sample"}})

    done = pusher.push(image.directory, f"{guarded.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert secretless(done.stderr + done.stdout)


def test_docker_config_names_another_folder(
    guarded: LocalRegistry, pusher: Pusher, image: Layout, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auths": {guarded.host: {"auth": BASIC}}}))

    done = pusher.push(image.directory, f"{guarded.host}/team/image", DOCKER_CONFIG=str(folder))

    assert done.returncode == 0, done.stderr


def test_a_netrc_of_the_machine_does_not_replace_the_credentials(
    guarded: LocalRegistry, pusher: Pusher, image: Layout
) -> None:
    pusher.write_docker_config({"auths": {guarded.host: {"auth": BASIC}}})
    (pusher.home / ".netrc").write_text("machine localhost login eve password wrong\n")

    done = pusher.push(image.directory, f"{guarded.host}/team/image")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("entry", "how"),
    [({"auth": BASIC}, "basic"), ({"identitytoken": IDENTITY_TOKEN}, "refresh_token")],
    ids=["password", "identity token"],
)
def test_a_token_service_gives_a_token_for_a_password_or_an_identity_token(
    tokened: LocalRegistry,
    service: TokenService,
    pusher: Pusher,
    image: Layout,
    entry: dict[str, str],
    how: str,
) -> None:
    pusher.write_docker_config({"auths": {tokened.host: entry}})

    done = pusher.push(image.directory, f"{tokened.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert {known for known, _ in service.asked} == {how}
    assert [scopes for _, scopes in service.asked] == [("repository:team/image:pull,push",)], (
        "one token will do"
    )
    assert tokened.tags("team/image") == ["v1"]
    assert secretless(done.stderr + done.stdout)


def test_a_mount_asks_for_both_repositories_and_keeps_the_right_to_push(
    tokened: LocalRegistry, service: TokenService, pusher: Pusher, image: Layout
) -> None:
    pusher.write_docker_config({"auths": {tokened.host: {"auth": BASIC}}})
    pusher.push(image.directory, f"{tokened.host}/team/base", "--tag", "v1")

    done = pusher.push(
        image.directory, f"{tokened.host}/team/image", "--tag", "v1", "--mount-from", "team/base"
    )

    assert done.returncode == 0, done.stderr
    assert "mounted 3" in done.stderr
    assert any(
        any(scope.startswith("repository:team/base:") for scope in scopes)
        and "repository:team/image:pull,push" in scopes
        for _, scopes in service.asked
    )


def test_a_repository_that_one_may_not_push_to_is_access_denied(
    tokened: LocalRegistry, pusher: Pusher, image: Layout
) -> None:
    pusher.write_docker_config({"auths": {tokened.host: {"auth": BASIC}}})

    done = pusher.push(image.directory, f"{tokened.host}/other/image", "--tag", "v1")

    assert done.returncode == 9
    assert "other/image" in done.stderr
    assert secretless(done.stderr)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_registry_with_tls_is_trusted_by_the_bundle_that_a_variable_names(
    pusher: Pusher, image: Layout, tmp_path: Path, variable: str
) -> None:
    tls = make_certificate(tmp_path / "tls")
    files = (tls.certificate, tls.key, tls.authority)
    with local_registry(tmp_path / "registry", certificate=files) as registry:
        done = pusher.push(
            image.directory, f"{registry.host}/team/image", "--tag", "v1", **{variable: str(tls.authority)}
        )

        assert done.returncode == 0, done.stderr
        assert registry.tags("team/image") == ["v1"]


def test_a_certificate_that_nobody_trusts_is_refused_unless_the_operator_says_so(
    pusher: Pusher, image: Layout, tmp_path: Path
) -> None:
    tls = make_certificate(tmp_path / "tls")
    files = (tls.certificate, tls.key, tls.authority)
    with local_registry(tmp_path / "registry", certificate=files) as registry:
        refused = pusher.push(image.directory, f"{registry.host}/team/image", "--tag", "v1")
        insecure = pusher.push(image.directory, f"{registry.host}/team/image", "--tag", "v1", "--insecure")

    assert refused.returncode == 4
    assert f"{registry.host}: its certificate is not trusted" in refused.stderr
    assert "SSL_CERT_FILE" in refused.stderr
    assert insecure.returncode == 0, insecure.stderr


def test_a_certificate_of_another_host_is_refused(pusher: Pusher, image: Layout, tmp_path: Path) -> None:
    tls = make_certificate(tmp_path / "tls", "DNS:registry.example.com")
    files = (tls.certificate, tls.key, tls.authority)
    with local_registry(tmp_path / "registry", certificate=files) as registry:
        done = pusher.push(image.directory, f"{registry.host}/team/image", SSL_CERT_FILE=str(tls.authority))

    assert done.returncode == 4
    assert "its certificate is not trusted" in done.stderr
    assert "localhost" in done.stderr


def test_credentials_are_those_of_the_registry_that_is_named_and_of_no_other(
    guarded: LocalRegistry, pusher: Pusher, image: Layout
) -> None:
    pusher.write_docker_config({"auths": {guarded.host: {"auth": BASIC}}})
    with cutting_proxy(guarded.port) as proxy:
        done = pusher.push(image.directory, f"{proxy.host}/team/image", "--tag", "v1")

    assert done.returncode == 9
    assert f"has no credentials for {proxy.host}" in done.stderr
