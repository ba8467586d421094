"""Prepares a virtual environment of the user, the venv, on top of an environment of the prefix, the base.

Enters: the paths of the venv and of the base. Leaves: a venv that sees the packages of both, and the mark by
which later starts know it.

`activate.sh` runs `main` at the first start, and again when the venv has changed since. The Python of the
base runs it, so it uses Python 3.10 and its standard library only. Imports are relative, because the package
lies beside `activate.sh`, wherever that is.
"""
