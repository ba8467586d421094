"""The comparison of the model with real daemons: what it predicts, and when it is off."""

from pathlib import Path

import pytest

from tests.bench.fleet.calibrate import Sample, make_supply, predict, rows_of

SIZE_BYTES = 40_000_000


def _sample(nodes: int, seconds: float, besides_s: float = 5.0) -> Sample:
    return Sample(nodes, seconds, besides_s, 1.0, nodes * SIZE_BYTES, 0.5)


@pytest.mark.parametrize("nodes", [1, 2, 8, 32])
def test_nodes_share_the_link_of_the_server_and_do_the_rest_by_themselves(nodes: int) -> None:
    link_s = nodes * SIZE_BYTES * 8 / 20e6 * 1514 / 1448
    assert predict(SIZE_BYTES, 20, _sample(nodes, 9.0)) == pytest.approx(link_s + 5.0, rel=0.001)


@pytest.mark.parametrize(("seconds", "verdict"), [(79, "no"), (81, "yes"), (119, "yes"), (121, "no")])
def test_a_fifth_is_what_the_model_may_be_off(seconds: float, verdict: str) -> None:
    ((nodes, predicted, measured, _, _, found),) = rows_of(SIZE_BYTES, [_sample(4, seconds)], [100.0])
    assert (nodes, predicted, measured, found) == ("4", "100.0 s", f"{seconds:.1f} s", verdict)


def test_the_index_of_nodes_has_each_wheel_under_its_digest(tmp_path: Path) -> None:
    supply = make_supply(tmp_path, 80_000)
    files = sorted((supply.tree / "files").glob("*/*.whl"))
    assert sum(file.stat().st_size for file in files) == supply.size_bytes >= 80_000
    for file in files:
        page = (supply.tree / "simple" / file.name.partition("-")[0] / "index.html").read_text()
        assert f"../../files/{file.parent.name}/{file.name}#sha256={file.parent.name}" in page
