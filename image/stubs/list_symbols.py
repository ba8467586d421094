"""`bazel run //image/stubs:list_symbols -- HEADER…`: prints the symbols for a stub, from NVIDIA's headers."""

from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.errors import ImageError
from image.stubs.symbols import format_symbols, read_headers


@click.command(cls=MonobaseCommand)
@click.argument("headers", type=click.Path(path_type=Path, resolve_path=True), nargs=-1, required=True)
def main(headers: tuple[Path, ...]) -> None:
    """Print the names that HEADERS declare, in the format of libcuda.txt and libnvidia-ml.txt."""
    symbols = read_headers([_read(path) for path in headers])
    if not symbols.functions:
        raise ImageError(f"{headers[0]}: declares no function of CUDA's driver or of NVML")
    click.echo(format_symbols(symbols), nl=False)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error}") from error


if __name__ == "__main__":
    main()
