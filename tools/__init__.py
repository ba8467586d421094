"""The commands of an operator's desk: `update`, `diff`, `matrix`, `update_debian` and `update_releases`.

Enters: definitions and locks of `gens`, packages.txt of `image/debian`. Leaves: changed locks; reports for
people and, with `--json`, for programs. The modules here read options and print results; the packages below
do the work.
"""
