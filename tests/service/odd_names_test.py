"""A file of any name on the prefix is shown as one line, and no probe, page or document fails for it."""

import json
import os

from tests.node.node import SITE, Node
from tests.synthetic.catalog import cells

pytest_plugins = ["tests.service.fixture"]

_NAMES = {
    b"a\xff.txt": r"a\xff.txt",
    b"new\nline": r"new\nline",
    b"red\x1b[31m": r"red\x1b[31m",
    b"back\rward": r"back\rward",
    "ünd so weiter".encode(): "ünd so weiter",
}


def test_files_of_any_name_are_told_of_everywhere(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    node.run("install")
    for name in _NAMES:
        (node.environment() / SITE / os.fsdecode(name)).write_text("stray")
    tree = f"monobase/g00000/{node.environment().name}"
    lines = [f"extra: {tree}/{SITE}/{shown}" for shown in _NAMES.values()]
    assert sorted(node.run("verify", code=1).stdout.splitlines()) == sorted(lines)
    document = json.loads(node.run("verify", "--json", code=1).stdout)
    machines = {f"{SITE}/{name.decode(errors='backslashreplace')}" for name in _NAMES}
    assert {item["path"] for item in document["findings"]} == machines
    with node.daemon("--no-repair") as daemon:
        daemon.wait_until(lambda: "extra" in daemon.get("/readyz?format=text")[1])
        for path in ("/readyz", "/readyz?format=text", "/"):
            status, body = daemon.get(path)
            assert status == (200 if path == "/" else 503), body
            assert not any(sign in body for sign in "\x1b\r")
        json.loads(daemon.get("/readyz")[1])
        daemon.wait_until((node.prefix.generations / ".known.json").exists)
        daemon.end()
    assert "extra" in node.run("ready", code=1).stdout
    json.loads(node.run("ready", "--json", code=1).stdout)
    json.loads(node.run("status", "--json").stdout)
    said = node.run("verify", "--repair").stderr
    assert r"a\xff.txt" in said
    assert "\x1b" not in said
    node.run("verify")
