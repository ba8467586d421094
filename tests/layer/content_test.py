"""The digest of an environment's wheels: the daemon's and that of a layer lock are one."""

from daemon.prefix.manifest import content_digest as of_daemon
from gens.lock import LockedWheel
from layers.lock import content_digest


def test_a_layer_lock_and_an_environment_have_the_same_digest_of_the_same_wheels_in_any_order() -> None:
    wheels = [LockedWheel(name, "1.0", name * 64, f"{name}-1.0-py3-none-any.whl", 1) for name in "abc"]

    assert content_digest(wheels) == content_digest(wheels[::-1]) == f"sha256:{of_daemon(wheels)}"
    assert content_digest(wheels[:2]) != content_digest(wheels)
