"""The pages of docs/ make a site, and what they name exists."""

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.peers.nursery import environment

TESTS = Path(__file__).resolve().parent
DOCS = TESTS.parent / "docs"


class SiteTests(SynchronousTestCase):
    def test_site(self) -> None:
        """Sphinx makes the site and has nothing to warn of."""
        site = Path(self.mktemp())
        done = subprocess.run(
            [
                *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going"),
                *("--nitpicky", "--quiet", "-d", site / "doctrees"),
                *("-b", "html", DOCS, site / "html"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # no line of ours runs there that coverage could count
            env=environment(),
        )
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        pages = {path.relative_to(DOCS).stem for path in DOCS.rglob("*.md")}
        made = {path.stem for path in (site / "html").rglob("*.html")}
        self.assertEqual(pages - made, set())

    def test_nothing_from_elsewhere(self) -> None:
        """Pages show no picture, style or script from another host."""
        for path in DOCS.rglob("*.md"):
            text = path.read_text(encoding="utf-8")
            self.assertEqual(re.findall(r"!\[[^]]*\]\(https?:", text), [], path)


class TableTests(SynchronousTestCase):
    def test_cells(self) -> None:
        """Each row of a table has as many cells as its head, whatever they hold."""
        for path in DOCS.rglob("*.md"):
            cells = 0
            for line in path.read_text(encoding="utf-8").splitlines():
                ends = len(re.findall(r"(?<!\\)\|", line)) if line[:1] == "|" else 0
                cells = cells if cells and ends else ends
                self.assertEqual(ends, cells, f"{path}: {line}")


class SupportedTests(SynchronousTestCase):
    def test_modules(self) -> None:
        """The test modules that docs/supported.md names are there."""
        text = (DOCS / "supported.md").read_text(encoding="utf-8")
        names = re.findall(r"`([a-z_/]+\.py)`", text)
        self.assertGreater(len(names), 10)
        self.assertEqual([name for name in names if not (TESTS / name).exists()], [])
