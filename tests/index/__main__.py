"""Serve the local index by hand, until it is interrupted."""

import signal
import tempfile
import threading
from pathlib import Path

import click

from tests.index.repository import pytorch_root
from tests.index.server import HOST, LocalIndex
from tests.index.torch_set import BENCH, RELEASES, SMALL, publish_torch_set

_SETS = ("small", "torch", "bench")
_TOOLKITS = ("12.1.1", "12.4.1", "13.0.2")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", default=8800, show_default=True, help="Port on loopback; 0 takes a free one.")
@click.option(
    "--set",
    "set_name",
    type=click.Choice(_SETS),
    default="small",
    show_default=True,
    help="What to serve: one release; all releases and toolkits; releases of thousands of files.",
)
@click.option("--log/--no-log", "shows_log", default=True, help="Print each request.")
def main(port: int, set_name: str, *, shows_log: bool) -> None:
    """Serve synthetic Torch, CUDA and cuDNN wheels to uv and pip on this machine."""
    stopped = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda _number, _frame: stopped.set())
    with (
        tempfile.TemporaryDirectory(prefix="monobase-index-") as folder,
        _started(Path(folder), port) as index,
    ):
        publish(index, set_name)
        click.echo(f"default index:        {index.url()}")
        for build in ("cpu", "cu118"):
            click.echo(f"PyTorch index {build:>6}: {index.url(pytorch_root(build))}")
        click.echo(f"try: UV_DEFAULT_INDEX={index.url()} uv pip compile - <<< torch")
        printed = 0
        while not stopped.wait(0.2):
            if shows_log:
                requests = index.log.requests()
                for request in requests[printed:]:
                    part = f" ({request.range})" if request.range else ""
                    click.echo(f"{request.method} {request.path} {request.status} {request.bytes_sent}{part}")
                printed = len(requests)


def publish(index: LocalIndex, set_name: str) -> None:
    """Fill an index with one of the sets that the command line names."""
    if set_name == "small":
        publish_torch_set(index, releases=["2.4.1"], pythons=["3.11"], builds=["cpu", "cu118"])
        return
    publish_torch_set(
        index,
        releases=list(RELEASES)
        if set_name == "torch"
        else ["2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0", "2.7.1"],
        pythons=["3.10", "3.11", "3.12"] if set_name == "torch" else ["3.10", "3.11"],
        builds=["cpu", "cu118"],
        toolkits=_TOOLKITS,
        scale=SMALL if set_name == "torch" else BENCH,
    )


def _started(folder: Path, port: int) -> LocalIndex:
    try:
        return LocalIndex(folder, port=port)
    except OSError as error:
        message = (
            f"cannot listen on {HOST}:{port}: {error.strerror}. Give another --port, or 0 for a free one."
        )
        raise click.ClickException(message) from error


if __name__ == "__main__":
    main()
