"""Files of trees as inventories and manifests have them."""

from hypothesis import strategies as st

from daemon.prefix.inventory import InventoryFile
from tests.laws.names import sha256s


def inventory_files(paths: st.SearchStrategy[str]) -> st.SearchStrategy[InventoryFile]:
    """Generate files with these paths, and any digest, size and mode."""
    return st.builds(InventoryFile, paths, sha256s(), st.integers(0, 2**50), st.integers(0, 0o7777))
