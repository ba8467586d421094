"""Print what this model of a team has."""

import msgspec

print(msgspec.json.encode({"msgspec": msgspec.__version__}).decode())
