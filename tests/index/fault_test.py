from tests.index.fault import FaultQueue, corrupt, reset, status


def test_a_fault_strikes_as_often_as_it_says_and_no_more() -> None:
    queue = FaultQueue()
    fault = reset(times=2)
    queue.add(fault)
    assert [queue.take("/x") for _ in range(3)] == [fault, fault, None]


def test_a_fault_without_a_count_strikes_until_it_is_lifted() -> None:
    queue = FaultQueue()
    fault = status(code=404, times=None)
    queue.add(fault)
    assert [queue.take("/x") for _ in range(5)] == [fault] * 5
    queue.remove(fault)
    assert queue.take("/x") is None


def test_a_fault_spares_the_requests_that_it_skips() -> None:
    queue = FaultQueue()
    fault = corrupt(skip=2)
    queue.add(fault)
    assert [queue.take("/x") for _ in range(4)] == [None, None, fault, None]


def test_only_paths_that_match_are_struck_and_counted() -> None:
    queue = FaultQueue()
    fault = reset("*.whl", skip=1)
    queue.add(fault)
    paths = ["/simple/foo/", "/a/foo-1-py3-none-any.whl", "/simple/foo/", "/a/foo-1-py3-none-any.whl"]
    assert [queue.take(path) for path in paths] == [None, None, None, fault]


def test_faults_strike_in_the_order_in_which_they_were_put_in_force() -> None:
    queue = FaultQueue()
    first, second = status(code=500), status(code=502)
    queue.add(first)
    queue.add(second)
    assert [queue.take("/x") for _ in range(3)] == [first, second, None]


def test_lifting_a_fault_leaves_an_equal_one_in_force() -> None:
    queue = FaultQueue()
    first, second = reset(), reset()
    queue.add(first)
    queue.add(second)
    queue.remove(first)
    assert queue.take("/x") is second
