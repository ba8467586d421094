"""What the stages of one install, or of one repair, share: stores, inventories, and what was read already."""

from dataclasses import dataclass

from daemon.host.known_contents import KnownContents
from daemon.install.compile import Compiler
from daemon.install.link import Linker
from daemon.prefix.bytecode_store import BytecodeStore
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.prefix import Prefix
from daemon.uv.program import Uv


@dataclass(frozen=True, slots=True)
class Workbench:
    """The tools of one run on one prefix.

    Attributes:
        store: The contents of the prefix.
        inventories: What the wheels hold.
        known: What this run has read.
        linker: Makes environments.
        compiler: Makes their bytecode.
    """

    store: ContentStore
    inventories: InventoryCache
    known: KnownContents
    linker: Linker
    compiler: Compiler


def make_workbench(
    prefix: Prefix, uv: Uv, jobs: int, *, links: bool, known: KnownContents | None = None
) -> Workbench:
    """Lay the tools ready.

    Args:
        prefix: The prefix.
        uv: How to run uv.
        jobs: How many things are done at once.
        links: Whether hard links may be made.
        known: What the run has read already, if it has.

    Returns:
        The tools.
    """
    store = ContentStore(prefix.files, prefix.staging, enabled=links)
    inventories = InventoryCache(prefix)
    known = KnownContents(jobs) if known is None else known
    linker = Linker(prefix, uv, store, inventories, known)
    bytecode = BytecodeStore(prefix, known, links=links)
    compiler = Compiler(prefix, inventories, bytecode, jobs, uv.inherit)
    return Workbench(store, inventories, known, linker, compiler)
