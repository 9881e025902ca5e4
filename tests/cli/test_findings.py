"""Problems and warnings as values."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.findings import Finding


class FindingTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """Section and option, where a line has them."""
        for line, expected in (
            ("[tls] key: a.pem: no", ("tls", "key", "a.pem: no")),
            ("[upstream up]: unused", ("upstream up", None, "unused")),
            ("[access a] @staff: empty", ("access a", "@staff", "empty")),
            ("/a.ini: Is a directory", (None, None, "/a.ini: Is a directory")),
            ("no [registry HOST] section", (None, None, "no [registry HOST] section")),
        ):
            self.assertEqual(tuple(Finding.parse(line)), expected)
