"""Print what finds Debian's mirrors would: an archive that lost the package, a snapshot service with it."""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent

print(
    json.dumps(
        {"debian": (HERE / "archive").as_uri(), "security": None, "snapshot": (HERE / "snapshot").as_uri()}
    )
)
