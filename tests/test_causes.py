"""Why requests end: a closed list, and what the documentation says of it."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker import errors
from regbroker.causes import Cause, Kind, Side, cause_of

OPERATING = Path(__file__).resolve().parents[1] / "docs" / "operating.md"


class CauseTests(SynchronousTestCase):
    def test_documented(self) -> None:
        """Each cause stands in the table once, and nothing else does."""
        text = OPERATING.read_text(encoding="utf-8")
        rows = re.findall(r"^\| (`[^|]*) \|", text.partition("| cause |")[2], re.M)
        told = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
        self.assertEqual(sorted(told), sorted(cause.value for cause in Cause))

    def test_word(self) -> None:
        """A cause's word is its value, which the log has."""
        for cause in Cause:
            self.assertEqual(cause.word, cause.value)

    def test_sides(self) -> None:
        """Whoever is asked can end in each way, under a name of its own."""
        found = {cause_of(side.value, kind) for side in Side for kind in Kind}
        self.assertEqual(len(found), len(Side) * len(Kind))
        self.assertEqual(
            cause_of("the upstream's token service", Kind.IDLE), Cause.TOKENS_IDLE
        )

    def test_others(self) -> None:
        """Who else is asked stands for the upstream."""
        self.assertEqual(cause_of("something", Kind.IDLE), Cause.UPSTREAM_IDLE)

    def test_of_errors(self) -> None:
        """An error of a client's is answered, and that is all: but for bounds."""
        causes = {
            name: found.cause
            for name, found in vars(errors).items()
            if isinstance(found, type) and issubclass(found, errors.HTTPError)
        }
        done = {name for name, cause in causes.items() if cause is Cause.DONE}
        self.assertLessEqual({"Unauthorized", "NameUnknown", "UpstreamRefused"}, done)
        for name in ("UpstreamTimeout", "UpstreamUnavailable", "UpstreamMalformed"):
            self.assertIn("upstream-", causes[name].value)

    def test_given(self) -> None:
        """An error may have another cause than its class."""
        error = errors.UpstreamTimeout("too late", cause=Cause.STORAGE_IDLE)
        self.assertIs(error.cause, Cause.STORAGE_IDLE)
        self.assertIs(errors.UpstreamTimeout.cause, Cause.UPSTREAM_IDLE)
