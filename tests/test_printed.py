"""The documentation says what the tables in the code say."""

from twisted.trial.unittest import SynchronousTestCase

from tests.printed import DOCS, PAGES


class PrintedTests(SynchronousTestCase):
    def test_pages(self) -> None:
        """Each page is as it would be printed now; if not: ``make docs``."""
        for name, page in PAGES.items():
            written = (DOCS / name).read_text(encoding="utf-8")
            self.assertEqual(written, page(), f"docs/{name} is old; run `make docs`")
