import threading

import pytest

from tests.index.request_log import Request, RequestLog

NAME = "torch-2.4.1+cu118-cp311-cp311-linux_x86_64.whl"
PATH = f"/whl/cu118/{NAME}"


def request(**changes: object) -> Request:
    fields = {"method": "GET", "path": PATH, "status": 200, "bytes_sent": 9, "size_bytes": 9, "range": None}
    return Request(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_whole_wheel_is_one_download() -> None:
    log = RequestLog()
    log.add(request())
    log.add(request())
    assert log.wheel_downloads() == {NAME: 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "HEAD", "bytes_sent": 0},
        {"status": 206, "range": "bytes=0-8"},
        {"path": PATH + ".metadata"},
        {"path": "/whl/cu118/torch/"},
        {"status": 404},
        {"bytes_sent": 8},
        {"status": 0, "bytes_sent": 0},
    ],
)
def test_nothing_else_is_a_download(changes: dict[str, object]) -> None:
    log = RequestLog()
    log.add(request(**changes))
    assert not log.wheel_downloads()


def test_attempts_count_broken_answers_and_bytes_count_all_that_went_out() -> None:
    log = RequestLog()
    log.add(request(bytes_sent=4))
    log.add(request(status=206, range="bytes=0-1", bytes_sent=2, size_bytes=2))
    log.add(request())
    assert log.wheel_attempts() == {NAME: 2}
    assert log.wheel_bytes() == {NAME: 15}


def test_waiting_ends_when_the_request_comes_and_times_out_when_it_does_not() -> None:
    log = RequestLog()
    timer = threading.Timer(0.05, log.add, [request()])
    timer.start()
    log.wait_for(lambda requests: len(requests) == 1)
    timer.join()
    with pytest.raises(TimeoutError, match="not asked for it within"):
        log.wait_for(lambda requests: len(requests) == 2, timeout_s=0.01)


def test_a_request_that_goes_on_is_updated_in_its_place() -> None:
    log = RequestLog()
    number = log.add(request(bytes_sent=0))
    log.add(request(path="/simple/"))
    log.update(number, request())
    assert [entry.path for entry in log.requests()] == [PATH, "/simple/"]
    assert log.wheel_downloads() == {NAME: 1}


def test_a_cleared_log_is_empty_and_stays_so_when_an_earlier_request_goes_on() -> None:
    log = RequestLog()
    number = log.add(request())
    log.clear()
    log.update(number, request())
    assert log.requests() == ()
