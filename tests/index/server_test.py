import http.client
import json
import time
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.index.fault import Fault, corrupt, drip, latency, reset, stall, status, substitute, truncate
from tests.index.project_page import HTML_V1_TYPE, JSON_TYPE
from tests.index.repository import IMMUTABLE, NO_STORE, IndexRoot, pytorch_root
from tests.index.server import HOST, LocalIndex
from tests.index.wheel import Wheel, WheelSpec

pytest_plugins = ["tests.index.fixture"]

FOO = WheelSpec("Foo.Bar", "1.0", files={"foo.py": b"x" * 100_000})


def get(
    index: LocalIndex, path: str, *, method: str = "GET", timeout_s: float = 120.0, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(HOST, index.port, timeout=timeout_s)
    try:
        connection.request(
            method, quote(path), headers={name.replace("_", "-"): v for name, v in headers.items()}
        )
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def ask_again(connection: http.client.HTTPConnection) -> None:
    connection.auto_open = 0
    connection.request("GET", "/simple/foo-bar/")
    connection.getresponse()


def path_of(wheel: Wheel) -> str:
    return f"/packages/{wheel.sha256}/{wheel.filename}"


def test_a_project_page_is_json_or_html_as_the_client_asks(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    response, page = get(local_index, "/simple/foo-bar/", Accept=JSON_TYPE)
    assert response.headers["Content-Type"] == JSON_TYPE
    assert json.loads(page)["files"][0]["hashes"] == {"sha256": wheel.sha256}
    response, page = get(local_index, "/simple/foo-bar/", accept=HTML_V1_TYPE)
    assert response.headers["Content-Type"] == HTML_V1_TYPE
    assert wheel.sha256.encode() in page
    response, page = get(local_index, "/simple/foo-bar/")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "max-age=600, public"


def test_the_index_lists_its_projects(local_index: LocalIndex) -> None:
    local_index.add(FOO)
    assert b'<a href="foo-bar/">foo-bar</a>' in get(local_index, "/simple/")[1]
    assert json.loads(get(local_index, "/simple/", Accept=JSON_TYPE)[1])["projects"] == [{"name": "foo-bar"}]


@pytest.mark.parametrize("path", ["/simple/Foo_Bar/", "/simple/foo-bar"])
def test_other_spellings_of_a_project_are_redirected(local_index: LocalIndex, path: str) -> None:
    local_index.add(FOO)
    response, _ = get(local_index, path)
    assert (response.status, response.headers["Location"]) == (301, "/simple/foo-bar/")


@pytest.mark.parametrize(
    "path", ["/", "/simple/other/", "/nothing", "/packages/00/foo.whl", "/simple/foo-bar/x/"]
)
def test_what_the_index_does_not_have_is_404(local_index: LocalIndex, path: str) -> None:
    local_index.add(FOO)
    assert get(local_index, path)[0].status == HTTPStatus.NOT_FOUND


def test_a_wheel_is_sent_whole_in_part_and_not_again(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    content = wheel.path.read_bytes()
    response, body = get(local_index, path_of(wheel))
    assert (response.status, body) == (200, content)
    assert response.headers["Last-Modified"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert response.headers["Cache-Control"] == IMMUTABLE
    assert get(local_index, path_of(wheel), If_None_Match=response.headers["ETag"])[0].status == 304
    part, body = get(local_index, path_of(wheel), Range="bytes=10-19")
    assert (part.status, body) == (206, content[10:20])
    head, body = get(local_index, path_of(wheel), method="HEAD")
    assert (head.headers["Content-Length"], head.headers["Accept-Ranges"], body) == (
        str(len(content)),
        "bytes",
        b"",
    )
    assert local_index.log.wheel_downloads() == {wheel.filename: 1}


def test_a_metadata_file_stands_beside_its_wheel(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    assert get(local_index, path_of(wheel) + ".metadata")[1] == wheel.metadata


def test_a_pytorch_index_has_html_alone_and_its_wheels_may_not_be_stored(local_index: LocalIndex) -> None:
    root = local_index.add_root(pytorch_root("cu118"))
    wheel = local_index.add(WheelSpec("torch", "2.4.1+cu118"), root)
    response, page = get(local_index, "/whl/cu118/torch/", Accept=f"{JSON_TYPE}, text/html;q=0.01")
    assert response.headers["Content-Type"].startswith("text/html")
    href = f'href="/whl/cu118/torch-2.4.1%2Bcu118-py3-none-any.whl#sha256={wheel.sha256}"'
    assert href.encode() in page
    assert b"core-metadata" not in page
    response, body = get(local_index, "/whl/cu118/torch-2.4.1+cu118-py3-none-any.whl")
    assert (body, response.headers["Cache-Control"]) == (wheel.path.read_bytes(), NO_STORE)
    assert get(local_index, f"/whl/cu118/{wheel.filename}.metadata")[0].status == HTTPStatus.NOT_FOUND
    assert get(local_index, "/simple/torch/")[0].status == HTTPStatus.NOT_FOUND


def test_two_indexes_may_hold_different_wheels_of_one_name(local_index: LocalIndex) -> None:
    root = local_index.add_root(pytorch_root("cpu"))
    ours = local_index.add(FOO)
    shadow = local_index.add(WheelSpec("Foo.Bar", "1.0", files={"foo.py": b"shadow"}), root)
    assert get(local_index, path_of(ours))[1] == ours.path.read_bytes()
    assert get(local_index, f"/whl/cpu/{shadow.filename}")[1] == shadow.path.read_bytes()
    assert ours.sha256 != shadow.sha256


def test_an_index_without_ranges_sends_the_whole(local_index: LocalIndex) -> None:
    root = local_index.add_root(IndexRoot("plain", has_ranges=False))
    wheel = local_index.add(FOO, root)
    response, body = get(local_index, path_of(wheel), Range="bytes=0-9")
    assert (response.status, len(body), response.headers["Accept-Ranges"]) == (200, wheel.size_bytes, None)


def test_a_lost_wheel_is_listed_and_a_removed_one_is_not(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    local_index.repository.lose(wheel.filename)
    assert get(local_index, path_of(wheel))[0].status == HTTPStatus.NOT_FOUND
    assert wheel.filename.encode() in get(local_index, "/simple/foo-bar/")[1]
    local_index.repository.remove(wheel.filename)
    assert get(local_index, "/simple/foo-bar/")[0].status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("after_bytes", [0, 1000])
def test_a_reset_connection_ends_in_an_error_at_the_client(local_index: LocalIndex, after_bytes: int) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(reset("*.whl", after_bytes=after_bytes)), pytest.raises(ConnectionResetError):
        get(local_index, path_of(wheel))
    assert get(local_index, path_of(wheel))[0].status == HTTPStatus.OK
    assert local_index.log.wheel_attempts() == {wheel.filename: 2}
    assert local_index.log.wheel_downloads() == {wheel.filename: 1}


def test_a_stalled_answer_makes_the_client_time_out(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(stall("*.whl", delay_s=60, after_bytes=1000)), pytest.raises(TimeoutError):
        get(local_index, path_of(wheel), timeout_s=0.3)
    # The index noticed that the client went away; it did not wait for the minute.
    local_index.log.wait_for(lambda requests: [request.bytes_sent for request in requests] == [1000])


def test_a_truncated_answer_announces_what_it_does_not_send(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    with (
        local_index.fault(truncate("*.whl", after_bytes=1000)),
        pytest.raises(http.client.IncompleteRead) as caught,
    ):
        get(local_index, path_of(wheel))
    assert (len(caught.value.partial), caught.value.expected) == (1000, wheel.size_bytes - 1000)


def test_a_corrupt_answer_has_the_right_length_and_one_wrong_byte(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(corrupt("*.whl")):
        response, body = get(local_index, path_of(wheel))
    content = wheel.path.read_bytes()
    assert (response.status, len(body)) == (200, len(content))
    assert sum(ours != theirs for ours, theirs in zip(content, body, strict=True)) == 1


def test_a_substituted_answer_is_well_formed_and_another_one(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(substitute("*.whl", b"another")):
        response, body = get(local_index, path_of(wheel))
    assert (response.status, response.headers["Content-Length"], body) == (200, "7", b"another")


def test_an_error_status_comes_once_and_then_the_file(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(status("*.whl", code=503)):
        assert [get(local_index, path_of(wheel))[0].status for _ in range(2)] == [503, 200]


@pytest.mark.parametrize("fault", [drip("*.whl", bytes_per_s=250_000), latency("*.whl", delay_s=0.3)])
def test_a_slow_answer_takes_at_least_its_time_and_is_right(local_index: LocalIndex, fault: Fault) -> None:
    wheel = local_index.add(FOO)
    start_s = time.monotonic()
    with local_index.fault(fault):
        _, body = get(local_index, path_of(wheel))
    assert body == wheel.path.read_bytes()
    assert time.monotonic() - start_s >= 0.3


def test_a_fault_is_over_at_the_end_of_its_block(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(status(code=500, times=None)):
        assert get(local_index, path_of(wheel))[0].status == 500
    assert get(local_index, path_of(wheel))[0].status == 200


def test_an_index_that_is_down_refuses_connections_and_comes_up_on_the_same_port(
    local_index: LocalIndex,
) -> None:
    wheel = local_index.add(FOO)
    with local_index.down(), pytest.raises(ConnectionRefusedError):
        get(local_index, path_of(wheel))
    assert get(local_index, path_of(wheel))[0].status == 200


def test_going_down_cuts_a_connection_that_is_open(local_index: LocalIndex) -> None:
    local_index.add(FOO)
    connection = http.client.HTTPConnection(HOST, local_index.port, timeout=120)
    connection.request("GET", "/simple/foo-bar/")
    connection.getresponse().read()
    local_index.go_down()
    assert connection.sock is not None
    with pytest.raises(ConnectionError):
        ask_again(connection)
    connection.close()


def test_an_index_goes_down_in_the_middle_after_so_many_requests(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    local_index.go_down_after(2)
    assert [get(local_index, path_of(wheel))[0].status for _ in range(2)] == [200, 200]
    with pytest.raises(ConnectionError):
        get(local_index, path_of(wheel))
    with pytest.raises(ConnectionRefusedError):
        get(local_index, path_of(wheel))
    local_index.go_up()
    assert get(local_index, path_of(wheel))[0].status == 200


def test_an_index_that_went_down_for_a_time_comes_up_by_itself(local_index: LocalIndex) -> None:
    wheel = local_index.add(FOO)
    local_index.go_down_after(0, for_s=0.2)
    with pytest.raises(ConnectionError):
        get(local_index, path_of(wheel))
    end_s = time.monotonic() + 120
    while time.monotonic() < end_s:
        try:
            assert get(local_index, path_of(wheel))[0].status == 200
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the index did not come up")


def test_stopping_lets_go_of_a_stalled_connection_and_of_the_temporary_folder() -> None:
    with LocalIndex() as index:
        wheel = index.add(FOO)
        index.inject(stall("*.whl", delay_s=600))
        connection = http.client.HTTPConnection(HOST, index.port, timeout=120)
        connection.request("GET", path_of(wheel))
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        connection.getresponse().read()
    connection.close()
    assert not wheel.path.exists()


def test_wheels_are_kept_in_the_folder_that_was_given(tmp_path: Path) -> None:
    with LocalIndex(tmp_path / "kept") as index:
        wheel = index.add(FOO)
    assert wheel.path.is_relative_to(tmp_path / "kept")
    assert wheel.path.exists()
