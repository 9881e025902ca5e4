"""What may be meant by a name that is not known."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.suggestions import suggestion


class SuggestionTests(SynchronousTestCase):
    def test_near(self) -> None:
        """Slips of the pen, other cases, underscores, plurals."""
        known = ["listen", "state-directory", "Hub", "url"]
        for name, meant in (
            ("lisen", "listen"),
            ("listens", "listen"),
            ("STATE_DIRECTORY", "state-directory"),
            ("hub", "Hub"),
            ("ulr", "url"),
        ):
            self.assertEqual(suggestion(name, known), f"did you mean '{meant}'? ")

    def test_far(self) -> None:
        """What is like nothing that is known gets no guess."""
        for name in ("", "proxy_pass", "x" * 100_000):
            self.assertEqual(suggestion(name, ["listen", "url"]), "")
        self.assertEqual(suggestion("listen", []), "")
