"""The team's generations, oldest first."""

load("@monobase//gens:defs.bzl", "monogen")

PROD_MONOGENS = [
    monogen(
        id = 1000,
        exclude_newer = "2026-11-01T00:00:00Z",
        packages = ["msgspec"],
        python = {"3.11": "3.11.18"},
    ),
]
