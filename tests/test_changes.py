"""News fragments have known types and sentences, and become part of CHANGELOG.md."""

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.toml_file import load_toml

ROOT = Path(__file__).resolve().parents[1]
CHANGES = ROOT / "changes"
#: towncrier takes the lines as they are.
MAX_LINE = 100
NAME = re.compile(r"\+[a-z0-9]+(?:-[a-z0-9]+)*\.([a-z]+)\.md")


def settings() -> dict[str, object]:
    """Return towncrier's part of pyproject.toml."""
    settings: dict[str, object] = load_toml(ROOT / "pyproject.toml")["tool"][
        "towncrier"
    ]
    return settings


def types() -> list[str]:
    """Return the types of fragments that towncrier knows."""
    tables = settings()["type"]
    assert isinstance(tables, list)
    return [table["directory"] for table in tables]


def problem(path: Path) -> str | None:
    """Say what is wrong with a fragment; None for nothing."""
    match = NAME.fullmatch(path.name)
    if match is None:
        return f"{path.name}: the name is not +WORDS.TYPE.md (changes/README.md)"
    if match[1] not in types():
        return f"{path.name}: {match[1]} is no type; types: {', '.join(types())}"
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        return f"{path.name}: it is empty"
    if text.startswith(("-", "*", "#")):
        return f"{path.name}: it begins with a bullet or a heading; towncrier adds both"
    longest = max(map(len, text.splitlines()))
    if longest > MAX_LINE:
        return f"{path.name}: a line of {longest} characters; {MAX_LINE} at most"
    return None


class FragmentTests(SynchronousTestCase):
    def test_each_is_right(self) -> None:
        """Each file beside README.md is a fragment that towncrier takes."""
        paths = [path for path in CHANGES.iterdir() if path.name != "README.md"]
        self.assertEqual([p for p in map(problem, paths) if p], [])

    def test_problems_are_seen(self) -> None:
        """A wrong name, an unknown type, no text, and a bullet are problems."""
        directory = Path(self.mktemp())
        directory.mkdir()
        for name, text, expected in (
            ("+a-b.feature.md", "Words.\n", None),
            ("a.feature.md", "Words.\n", "is not +WORDS.TYPE.md"),
            ("+a.rst", "Words.\n", "is not +WORDS.TYPE.md"),
            ("+a.news.md", "Words.\n", "news is no type"),
            ("+a.bugfix.md", "\n", "is empty"),
            ("+a.change.md", "- Words.\n", "bullet"),
            ("+a.change.md", "x" * 101, "a line of 101 characters; 100 at most"),
        ):
            path = directory / name
            path.write_text(text)
            found = problem(path)
            if expected is None:
                self.assertIsNone(found)
            else:
                self.assertIn(expected, found or "")

    def test_types_are_explained(self) -> None:
        """README.md names each type, and no others."""
        rows = re.findall(r"^\| `(\w+)` \|", (CHANGES / "README.md").read_text(), re.M)
        self.assertEqual(sorted(rows), sorted(types()))

    def test_changelog_takes_them(self) -> None:
        """towncrier reads its configuration, and finds the place in CHANGELOG.md."""
        result = subprocess.run(
            [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("## 9.9 (", result.stdout)
        start = settings()["start_string"]
        assert isinstance(start, str)
        self.assertEqual((ROOT / "CHANGELOG.md").read_text().count(start), 1)
