"""The store on a node: all that is under the prefix, and the only code that knows how it is laid out.

Enters: trees that were made in the staging folder, and what they were made from. Leaves: published and
sealed generations, their manifests, marks, locks and leases, and findings: how they differ from these.

A *tree* is an environment, a toolkit or an interpreter: a folder with a manifest. A *generation* is a
folder of environments and of links to toolkits, with a list for the runtime (`environments`) and a mark
(`.done`). A node may hold a part of it, its selection: then the mark seals that part.

Life cycle
==========

    state        where it is                       what holds of it
    -----------  --------------------------------  ----------------------------------------------------------
    staged       monobase/.staging/g00003.NAME     only the writer uses it; it is lost with the writer
    published    monobase/g00003/NAME, cuda/NAME   complete, all of it on the disk, with its manifest; `ready`
                                                   in the list; models may use it
    sealed       the same                          the generation has a mark, which digests its manifests, or
                                                   those of a part, and its list; nothing of what the mark
                                                   names is written again
    leased       the same                          a model has a shared flock(2) on the generation's folder or
                                                   on an environment's: neither is retired
    retired      monobase/.staging/g00003, or      has no name any more; what is left of it is being removed
                 .staging itself
    damaged      any of the named ones             differs from its manifest, or the generation from its mark
    newer        any of the named ones             a newer release has written its manifest or mark: readers
                                                   report it, and no operation repairs or seals it

    operation                        from -> to                       module
    -------------------------------  -------------------------------  ---------------------------------------
    begin_staging, end_staging       nothing -> a staging folder      staging
    write_manifest                   (being made) -> staged           manifest
    publish                          staged -> published              publication
    publish_interpreter              staged -> published, or          interpreter_folder
                                     damaged -> published
    seal                             all that is selected is          publication
                                     published -> sealed
    open_mark                        sealed -> sealed, its mark       publication
                                     open: the list may be written
    point_latest                     `latest` names a sealed one      latest
    put_in_place, mend_tree,         damaged -> published, sealed     mending, publication, toolkit_tree
    replace_tree, link_toolkit
    unseal                           its mark damaged -> published    publication
    retire                           not leased -> retired            retirement
    retire_environment               not leased -> retired; the       retirement
                                     mark names the others, open
    unlink_toolkit                   a link to a toolkit -> nothing;  retirement
                                     the mark names the others, open
    remove_retired, remove_evicted   retired -> nothing               retirement
    remove_unused                    a tree or record that nothing    retirement
                                     uses -> nothing
    remove_leftovers                 staged, retired -> nothing       staging

What is retired is decided above the store (`daemon/upkeep`). A generation: never an active one, never the
target of `latest` (which `retire` refuses as well), and a newer one never. An environment: only of an active
generation, where it can be installed again on demand, or is not selected any more.

What a crash leaves
===================

Every operation is ordered so that a name stands for all of a thing, or for nothing: content, then
syncfs(2), then the rename, then fsync(2) of the folder. After a kill or a power loss

- in the staging folder, whatever was there: the next writer removes it before it does anything else, and
  what was half retired with it (`remove_leftovers`);
- during `publish`: some trees have their names and others have none, and the list may still call one
  `missing` that is there. The next install finds by the manifests what is there, and writes the list again;
- during `seal`: the list may say `sealed` while there is no mark, or an open one: the generation counts as
  published, but for what the mark names. The mark is the last thing to be written;
- between `open_mark` and `seal`: an open mark. What it names is sealed; the next install writes the list and
  closes it;
- during `point_latest`: `latest` names the one of before or the one of after;
- during `retire`: the generation has its name, or is in the staging folder as a whole;
- during `retire_environment`: so does the environment; the mark may be open and not name it, and the list
  may call the environment `missing` that has its name still. The next install closes the mark. On a full
  disk, mark and list may be gone: the next round of the daemon (`early_lists`) or install writes it;
- during a repair: each file of a tree is the damaged one or the right one; the manifest stays as it was;
- under the name of a temporary file (`.NAME.HEX.tmp`): nothing that anybody reads; `remove_leftovers`
  removes it.

`crash_test.py` kills each operation before each of its changes, and `conformance_test.py` tries each in
each state.

Locks
=====

    lock                             guards
    -------------------------------  ----------------------------------------------------------------------
    writer lock (`writer_lock`):     all names but those below. Functions that give or take a final name have
    monobase/.lock and .lock         a `WriterLock` and look whether it is still held (`check`) before each
                                     one; somebody may have removed its files
    service lock (`service_lock`):   that one daemon serves the prefix, and the record that it alone writes
    monobase/.service-lock           (`known_record`, `lease_record`), beside whoever holds the writer lock
    lease (`lease`): the folder of   the generation against `retire`, the environment against
    a generation or of an            `retire_environment`; models take it, on read-only mounts too
    environment, flock(2)
    demand (`demand`): an empty      nothing: a shared flock(2) of a model asks for that target; the daemon
    file for each missing target     only tries whether somebody holds one
    uv's locks (`uv_locks`)          nothing here: they are kept in memory, so that no model can hold them

A lock ends with the process that holds it, and no reader can keep one from a writer
(`host/exclusive_lock.py`). Readers take none: what they read may be renamed away at any moment, which is no
damage.

Lists of imports
================

`prefetch_list`: monobase/.prefetch has what the import of each environment reads. A list is no part of a tree
and is guarded by nothing: it is replaced by rename, its last line is the digest of the others, and a model
that finds none, or half of one, reads for itself.

Machine
=======

A prefix is for the machine of its first writer (`machine`: monobase/.machine). Whoever takes the writer lock
or serves the prefix on another machine is refused before anything is read or written.

Contents
========

Files of trees are hard links to one inode for each content: the wheel in uv's cache, `files/` by digest,
`pyc/` by digest of the source. So nothing is ever written in place: a writer makes a new inode in the
staging folder and renames it (`mending`, `content_store`, `bytecode_store`). What nothing uses any more is
found by `unused`.
"""
