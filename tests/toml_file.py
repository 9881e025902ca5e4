"""TOML for tests, on every Python that is supported."""

from importlib import import_module
from pathlib import Path
from typing import Any


def load_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file."""
    try:
        toml = import_module("tomllib")
    except ModuleNotFoundError:
        # Python 3.10 has none, and coverage brings this one instead
        toml = import_module("tomli")
    document: dict[str, Any] = toml.loads(path.read_text(encoding="utf-8"))
    return document
