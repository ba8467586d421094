import pytest

from image.oci.reference import Repository, parse_image_name, parse_repository, parse_tag


@pytest.mark.parametrize(
    ("text", "host", "name"),
    [
        ("registry.example.com/monobase", "registry.example.com", "monobase"),
        ("localhost:5000/team/mono-base_x", "localhost:5000", "team/mono-base_x"),
        ("localhost/a", "localhost", "a"),
        ("[::1]:5000/a", "[::1]:5000", "a"),
        ("docker.io/monobase", "docker.io", "library/monobase"),
        ("a.b/c.d/e__f/g--h", "a.b", "c.d/e__f/g--h"),
    ],
)
def test_a_repository_is_host_and_name(text: str, host: str, name: str) -> None:
    assert parse_repository(text) == Repository(host, name)


@pytest.mark.parametrize(
    "text",
    [
        "", "monobase", "team/monobase", "localhost:5000", "localhost:5000/", "a.b/Team", "a.b/team/",
        "a.b//team",
        "a.b/te..am", "a.b/te___am", "a.b/-team", "a.b/team:v1", "a.b/team@sha256:00", "a.b:x/team",
        "a_b.c/team",
        "a.b/te am", "https://a.b/team", "a.b/" + "x" * 300, "a.b/team\n",
    ],
)  # fmt: skip
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_repository(text)


def test_a_name_without_host_is_told_how_to_name_docker_hub() -> None:
    with pytest.raises(ValueError, match=r"write docker.io/team/monobase for Docker Hub"):
        parse_repository("team/monobase")


def test_docker_hub_speaks_at_another_host_and_has_a_key_of_its_own() -> None:
    hub = parse_repository("docker.io/team/monobase")

    assert (hub.api_host, hub.credentials_key) == ("registry-1.docker.io", "https://index.docker.io/v1/")
    assert str(hub) == "docker.io/team/monobase"


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"])
def test_registries_of_this_machine_are_known(host: str) -> None:
    assert parse_repository(f"{host}/a").is_loopback


@pytest.mark.parametrize(
    "host", ["registry.example.com", "10.0.0.1:5000", "localhost.example.com", "[fe80::1]"]
)
def test_other_registries_are_not_of_this_machine(host: str) -> None:
    assert not parse_repository(f"{host}/a").is_loopback


@pytest.mark.parametrize("tag", ["latest", "V1.0", "_x", "2026-11-24", "a" * 128])
def test_tags_of_the_specification_are_taken(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".x", "-x", "a" * 129, "a/b", "a:b", "ä", "a\n"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="is not a tag"):
        parse_tag(tag)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("monobase/daemon:dev", "monobase/daemon:dev"),
        ("daemon", "daemon:latest"),
        ("localhost:5000/daemon", "localhost:5000/daemon:latest"),
        ("localhost:5000/daemon:dev", "localhost:5000/daemon:dev"),
    ],
)
def test_an_image_on_this_machine_always_has_a_tag(text: str, name: str) -> None:
    assert parse_image_name(text) == name


@pytest.mark.parametrize("text", ["Daemon", "daemon:", ":dev", "daemon:-x", "daemon@sha256:00"])
def test_what_is_no_name_for_an_image_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_image_name(text)
