"""Makes a library to link with from a list of symbols: a Bazel action."""

from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.architecture import ARCHITECTURES
from image.stubs.shared_object import Stub, to_elf
from image.stubs.symbols import parse_symbols

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.argument("symbols_path", metavar="SYMBOLS", type=_PATH)
@click.argument("library", type=_PATH)
@click.option("--soname", required=True, help="The name of the driver's library, which the loader looks for.")
@click.option("--error", type=int, required=True, help="The error code that its functions return.")
@click.option("--architecture", type=click.Choice(list(ARCHITECTURES)), required=True)
def main(symbols_path: Path, library: Path, soname: str, error: int, architecture: str) -> None:
    """Write LIBRARY with the functions of SYMBOLS."""
    symbols = parse_symbols(symbols_path.read_text(), symbols_path)
    message = (
        f"monobase: error: {library.name} is a stub to link with, and a process has loaded it by that name:"
        f" the driver's is {soname}, which a GPU's node has"
    )
    stub = Stub(soname, message, error, sorted(symbols.functions), sorted(symbols.texts))
    library.write_bytes(to_elf(stub, ARCHITECTURES[architecture]))


if __name__ == "__main__":
    main()
