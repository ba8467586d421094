"""The law that only `daemon/prefix` and `daemon/host` touch the prefix.

Enters: the sources of `daemon/`. Leaves: a line for each place that lists folders, links, renames or removes,
or that spells a name of the layout.
"""
