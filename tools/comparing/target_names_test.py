"""Names of many targets in few words."""

from tools.comparing.target_names import joined_names


def test_environments_that_differ_in_their_python_alone_are_joined() -> None:
    names = [
        "python3.10",
        "python3.10-torch2.4.1-cu121",
        "python3.11",
        "python3.11-torch2.4.1-cu121",
        "python3.11-torch2.5.1-cu124",
        "cuda12.4",
        "cudnn9-cuda12",
    ]
    assert list(joined_names(names)) == [
        "python{3.10,3.11}",
        "python{3.10,3.11}-torch2.4.1-cu121",
        "python3.11-torch2.5.1-cu124",
        "cuda12.4",
        "cudnn9-cuda12",
    ]


def test_no_names_are_no_names() -> None:
    assert list(joined_names([])) == []


def test_environments_of_a_stack_are_joined_with_each_other_alone() -> None:
    names = ["python3.15", "python3.11-vllm0.33.0", "python3.12-vllm0.33.0", "python3.12-train"]
    assert list(joined_names(names)) == ["python3.15", "python{3.11,3.12}-vllm0.33.0", "python3.12-train"]
