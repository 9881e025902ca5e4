"""docs/api.md lists the public names: all of them, and no others."""

import ast
import re
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("service", "channel", "credchecker", "testing", "errors")


def listed() -> dict[str, list[str]]:
    """Return the names in the tables of docs/api.md, by module."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names: dict[str, list[str]] = {}
    for section in text.split("\n## ")[1:]:
        title = re.match(r"`regbroker\.(\w+)`\n", section)
        if title:
            names[title[1]] = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    return names


def public(source: str) -> set[str]:
    """Return the names that a module defines or re-exports for others."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            written = {t.id for t in targets if isinstance(t, ast.Name)}
            names |= written
            if "__all__" in written and node.value is not None:
                names |= set(ast.literal_eval(node.value))
    return {name for name in names if not name.startswith("_")}


class ApiTests(SynchronousTestCase):
    def test_modules(self) -> None:
        """Each public module has its table."""
        self.assertEqual(sorted(listed()), sorted(MODULES))

    def test_all_names(self) -> None:
        """Each name that is listed exists, and each public name is listed, once."""
        for module, names in listed().items():
            source = (ROOT / "regbroker" / f"{module}.py").read_text(encoding="utf-8")
            self.assertEqual(sorted(names), sorted(public(source)), module)
            loaded = import_module(f"regbroker.{module}")
            self.assertEqual([n for n in names if not hasattr(loaded, n)], [])

    def test_public(self) -> None:
        """What is public is seen: definitions, constants, what is re-exported."""
        source = (
            "from x import Y, z\nA = 1\n_B: int = 2\nC: int = 3\n"
            "class D: ...\ndef e(): ...\ndef _f(): ...\n__all__ = ['Y']\n"
        )
        self.assertEqual(public(source), {"A", "C", "D", "Y", "e"})

    def test_statuses(self) -> None:
        """The statuses that the list says are those of the classes."""
        text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
        errors = import_module("regbroker.errors")
        rows = re.findall(r"^\| `(\w+)` \| (\d{3}): ", text, re.MULTILINE)
        self.assertGreater(len(rows), 20)
        for name, status in rows:
            self.assertEqual(getattr(errors, name).status, int(status), name)
