"""The inventories that were read last, which all environments of one run share in memory."""

import threading
from collections import OrderedDict

from daemon.errors import WheelContentError
from daemon.prefix.inventory import Inventory, read_inventory
from daemon.prefix.prefix import Prefix
from gens.lock import LockedWheel

_CACHED_FILES = 60_000


class InventoryCache:
    """The inventories that were read last; several threads may read them."""

    def __init__(self, prefix: Prefix, max_files: int = _CACHED_FILES) -> None:
        self._prefix = prefix
        self._max_files = max_files
        self._held: OrderedDict[str, Inventory] = OrderedDict()
        self._files = 0
        self._guard = threading.Lock()

    def get(self, wheel: LockedWheel) -> Inventory:
        """Return the inventory of a wheel.

        Raises:
            WheelContentError: The wheel was not fetched.
        """
        with self._guard:
            inventory = self._held.get(wheel.sha256)
            if inventory is not None:
                self._held.move_to_end(wheel.sha256)
                return inventory
        inventory = read_inventory(self._prefix, wheel.sha256)
        if inventory is None:
            raise WheelContentError(
                f"{wheel.filename}: is not in uv's cache; run the install again, which downloads it"
            )
        with self._guard:
            if wheel.sha256 not in self._held:
                self._held[wheel.sha256] = inventory
                self._files += len(inventory.files)
            while self._files > self._max_files and len(self._held) > 1:
                _, dropped = self._held.popitem(last=False)
                self._files -= len(dropped.files)
        return inventory
