"""The place of packages in a venv or an environment."""

import sys

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
PYTHON = f"python{VERSION}"
LIBRARY = f"lib/{PYTHON}/site-packages"
