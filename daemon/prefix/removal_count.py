"""Counts what a removal would free, with the contents that would have no other link then."""

from daemon.host.removal import LinkCount, walk
from daemon.prefix.prefix import Prefix
from daemon.prefix.unused import content_links


class RemovalCount:
    """Counts paths of a prefix as removed, one after the other.

    Args:
        prefix: The prefix; it must not change meanwhile, or the count is not exact.

    Attributes:
        links: The bytes and inodes that are freed.
        paths: What was counted, and the contents that go with it, in this order.
    """

    def __init__(self, prefix: Prefix) -> None:
        self.links = LinkCount()
        self.paths: dict[str, None] = {}
        self._contents = content_links(prefix)

    @property
    def freed_bytes(self) -> int:
        """Bytes on the disk that are freed."""
        return self.links.freed_bytes

    def take(self, path: str) -> None:
        """Count a path with all below it as removed, unless it was counted before."""
        if path in self.paths:
            return
        self.paths[path] = None
        for _, status, is_folder in walk(path):
            if is_folder:
                self.links.freed_bytes += status.st_blocks * 512
                self.links.freed_inodes += 1
                continue
            self.links.take(status)
            content = self._contents.get((status.st_dev, status.st_ino))
            if content is not None and content[0] not in self.paths and self.links.links_left(status) == 1:
                self.paths[content[0]] = None
                self.links.take(content[1])

    def take_unused_contents(self) -> None:
        """Count the contents as removed that have no other link even now."""
        for path, status in self._contents.values():
            if status.st_nlink == 1:
                self.take(path)
