"""What an operator runs at a desk: the commands `update`, `diff`, `matrix` and `update_debian`.

Enters: definitions and locks of `gens`, packages.txt of `image/debian`. Leaves: changed locks; answers for
people and, with `--json`, for machines. A command reads its options here; the work is in the packages
below.
"""
