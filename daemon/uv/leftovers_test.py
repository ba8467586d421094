import io
from pathlib import Path

from daemon.prefix.staging import begin_staging
from daemon.report.progress import Reporter
from daemon.uv.leftovers import clean_leftovers
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell


def test_what_a_killed_writer_left_is_removed_from_the_prefix_and_from_uvs_cache(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    alpha = fake.wheel("alpha")
    fake.install(0, environment_cell([alpha]))
    installed = sorted(path for path in fake.prefix.root.rglob("*") if "staging" not in path.name)
    begin_staging(fake.prefix)
    (fake.prefix.staging / "half").mkdir()
    half = fake.prefix.uv_cache / "wheels-v8" / "index" / ".tmpAbc"
    half.mkdir()
    stream = io.StringIO()
    clean_leftovers(fake.prefix, Reporter(stream))
    assert sorted(fake.prefix.root.rglob("*")) == installed
    assert "removing what an earlier install" in stream.getvalue()


def test_a_prefix_without_leftovers_is_left_as_it_is_and_nothing_is_reported(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    before = sorted(fake.prefix.root.rglob("*"))
    stream = io.StringIO()
    clean_leftovers(fake.prefix, Reporter(stream))
    assert sorted(fake.prefix.root.rglob("*")) == before
    assert stream.getvalue() == ""
