"""The stores that the stages of one install, or of one repair, share."""

from dataclasses import dataclass

from daemon.host.known_contents import KnownContents
from daemon.install.compile import Compiler
from daemon.install.compile_pool import CompilePool
from daemon.install.link import Linker
from daemon.prefix.bytecode_store import BytecodeStore
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.prefix import Prefix
from daemon.uv.program import Uv


@dataclass(frozen=True, slots=True)
class Workbench:
    """The stores of one run on one prefix.

    Attributes:
        prefix: The prefix.
        store: The contents that trees share.
        inventories: The inventories of the wheels.
        known: The contents that the run has read.
        linker: Links environments.
        compiler: Compiles their bytecode.
    """

    prefix: Prefix
    store: ContentStore
    inventories: InventoryCache
    known: KnownContents
    linker: Linker
    compiler: Compiler


def make_workbench(
    prefix: Prefix, uv: Uv, jobs: int, *, links: bool, known: KnownContents | None = None
) -> Workbench:
    """Open the stores of a prefix.

    Args:
        prefix: The prefix.
        uv: Runs uv.
        jobs: How many files to read, or sources to compile, at once.
        links: Whether hard links may be made.
        known: The contents that the run has read so far; None for none.
    """
    store = ContentStore(prefix.files, prefix.staging, enabled=links)
    inventories = InventoryCache(prefix)
    known = KnownContents(jobs) if known is None else known
    linker = Linker(prefix, uv, store, inventories, known)
    pool = CompilePool(prefix, jobs, uv.inherit, known)
    compiler = Compiler(prefix, inventories, BytecodeStore(prefix, known, links=links), pool, jobs)
    return Workbench(prefix, store, inventories, known, linker, compiler)
