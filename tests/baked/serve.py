"""The code of a model whose environment is in its image."""

import sys
from importlib import import_module

# Of the layer, and of the environment.
print(import_module("ours").NAME, import_module("torch").NAME, sys.prefix)
