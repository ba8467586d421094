"""Restores one environment or toolkit, file by file, from the nearest place that has the right content.

The places, in order: what shares content on the prefix, the wheel in uv's cache, the index. Bytecode is
compiled again, and what uv itself writes is taken from the same environment, rebuilt in the staging folder.
Everything is compared with the manifest before it is renamed into place. A damaged manifest comes from the
rebuilt tree.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from daemon.errors import DamageError, PrefixError
from daemon.host.durability import sync_filesystem
from daemon.host.modes import make_new_folder
from daemon.prefix.finding import Finding
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import MANIFEST_NAME, Manifest, expected_files, read_manifest
from daemon.prefix.mending import mend_tree, put_in_place, put_link, remove_extra, restore_folder
from daemon.prefix.publication import replace_tree
from daemon.prefix.staging import discard, temporary_path
from daemon.prefix.tree_check import compare_tree, verify_tree
from daemon.prefix.tree_label import tree_at
from daemon.upkeep.origins import Origins
from daemon.upkeep.record_repair import RecordRepair
from daemon.upkeep.repair_source import RepairSource
from daemon.upkeep.repaired import Repaired
from gens.errors import MonobaseError


class TreeRepair:
    """The repair of one tree."""

    def __init__(self, source: RepairSource, label: str) -> None:
        self._source = source
        self._prefix = source.prefix
        self._label = label
        self._tree = tree_at(source.prefix, label)
        self._done = Repaired()
        self._errors: list[MonobaseError] = []

    def run(self, findings: list[Finding]) -> Repaired:
        """Restore what is damaged.

        Args:
            findings: All findings of this tree.

        Returns:
            What was done.

        Raises:
            MonobaseError: Something could not be restored; everything else was.
        """
        if any(finding.path == MANIFEST_NAME for finding in findings) or not self._has_manifest():
            self._replace()
            findings = self._verify()
        elif any(not finding.path for finding in findings):
            self._restore_records(read_manifest(self._tree / MANIFEST_NAME))
            findings = self._verify()
        if findings:
            self._restore(findings, read_manifest(self._tree / MANIFEST_NAME))
        sync_filesystem(self._prefix.root)
        for error in self._errors:
            raise error
        return self._done

    def _has_manifest(self) -> bool:
        try:
            read_manifest(self._tree / MANIFEST_NAME)
        except DamageError:
            return False
        return True

    def _verify(self) -> list[Finding]:
        found: list[Finding] = []
        verify_tree(self._prefix, self._tree, self._source.digests(), found)
        for finding in found:
            if not finding.path:
                raise DamageError(finding.detail)
        return found

    def _compare(self, manifest: Manifest) -> list[Finding]:
        found: list[Finding] = []
        expected = expected_files(self._prefix, manifest)
        compare_tree(self._prefix, self._tree, manifest, expected, self._source.digests(), found)
        return found

    def _replace(self) -> None:
        """Rebuild the tree, and make the existing one equal to it, manifest included."""
        made = self._source.rebuild(self._label)
        sync_filesystem(self._prefix.root)
        self._source.writer.check()
        if self._tree.is_symlink() or not self._tree.is_dir():
            replace_tree(self._source.writer, made, self._tree)
            self._done.restored.append("all of it")
            return
        found = self._compare(read_manifest(made / MANIFEST_NAME))
        mend_tree(self._tree, made, found)
        put_in_place(made / MANIFEST_NAME, self._tree, MANIFEST_NAME)
        self._done.restored += [MANIFEST_NAME, *(item.path for item in found if item.kind != "extra")]
        self._done.removed += [item.path for item in found if item.kind == "extra"]
        discard(made)

    def _restore_records(self, manifest: Manifest) -> None:
        records = RecordRepair(self._source, self._label)
        self._done.restored += records.restore_inventories(manifest)
        damaged = records.damaged_lists(manifest)
        if damaged:  # the sources first: only bytecode that is compiled from them again proves a list
            plain = replace(manifest, bytecode=())
            self._restore([item for item in self._compare(plain) if item.kind != "extra"], plain)
            self._done.restored += records.restore_lists(damaged)

    def _restore(self, findings: Sequence[Finding], manifest: Manifest) -> None:
        expected = expected_files(self._prefix, manifest)
        links = {link.path: link.target for link in manifest.links}
        self._source.writer.check()
        for finding in findings:
            if finding.kind == "extra":
                remove_extra(self._tree, finding.path)
                self._done.removed.append(finding.path)
        paths = list(dict.fromkeys(item.path for item in findings if item.kind in {"changed", "missing"}))
        for path in paths:
            if path in links:
                if put_link(self._prefix.staging, self._tree, path, links[path]):
                    self._done.restored.append(path)
            elif path not in expected:  # a folder, or what has its name
                restore_folder(self._tree, "" if path == "." else path)
                self._done.restored.append(path)
        files = [expected[path] for path in paths if path in expected]
        if files:
            self._restore_files(
                files, Origins(self._source, self._label, manifest, {file.path for file in files})
            )

    def _restore_files(self, files: list[InventoryFile], origins: Origins) -> None:
        left = self._put(files, origins)
        wheels = list(dict.fromkeys(wheel for file in left if (wheel := origins.wheel(file)) is not None))
        if wheels:
            self._errors += dict.fromkeys(self._source.fetch(wheels).values())
            left = self._put(left, origins)
        left = self._put_compiled(left, origins)
        by_uv = [file for file in left if origins.is_made_by_uv(file)]
        if by_uv:
            left = [file for file in left if file not in by_uv]
            with self._later():
                made = self._source.rebuild(self._label)
                left += self._put(by_uv, origins, {file.path: made / file.path for file in by_uv})
                discard(made)
        if left and not self._errors:
            self._errors.append(
                DamageError(f"nothing has the right content for {len(left):,} files, such as {left[0].path}")
            )

    def _put(
        self, files: list[InventoryFile], origins: Origins, made: Mapping[str, Path] | None = None
    ) -> list[InventoryFile]:
        """Put in place the files whose content is available, and return the others.

        Args:
            files: The files.
            origins: Where their content is as well.
            made: What was made for each file, by its path.
        """
        left, staged = [], []
        for file in files:
            lenders = [*origins.lenders(file), *([made[file.path]] if made else []), self._tree / file.path]
            found = self._source.contents.take(file, origins.places(file), lenders)
            if found is None:
                left.append(file)
            else:
                staged.append((found, file.path))
        if staged:
            sync_filesystem(self._prefix.root)
            self._source.writer.check()
        for found, path in staged:
            put_in_place(found, self._tree, path)
            self._done.restored.append(path)
        return left

    def _put_compiled(self, files: list[InventoryFile], origins: Origins) -> list[InventoryFile]:
        by_key: dict[str, list[InventoryFile]] = {}
        for file in files:
            if file.path in origins.bytecode:
                by_key.setdefault(origins.bytecode[file.path][0], []).append(file)
        left = [file for file in files if file.path not in origins.bytecode]
        for key, of_key in by_key.items():
            staging = temporary_path(self._prefix.staging)
            make_new_folder(staging)
            made = {file.path: staging / origins.bytecode[file.path][1].source_sha256 for file in of_key}
            with self._later():
                self._source.compile(
                    self._tree,
                    key,
                    [
                        (str(self._tree / _source_of(path)), str(target), f"{target.name}.py")
                        for path, target in made.items()
                    ],
                )
            left += self._put(of_key, origins, made)
        return left

    @contextmanager
    def _later(self) -> Iterator[None]:
        """Keep an error until everything else is restored, unless it concerns the prefix as a whole."""
        try:
            yield
        except PrefixError:
            raise
        except MonobaseError as error:
            self._errors.append(error)


def _source_of(bytecode: str) -> str:
    directory, _, name = bytecode.rpartition("/")
    return f"{directory.removesuffix('__pycache__')}{name.partition('.')[0]}.py"
