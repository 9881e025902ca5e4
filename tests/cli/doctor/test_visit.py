"""Who is visited, for what."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.doctor.visit import Wanted
from tests.doctorcase import ALICE


class WantedTests(SynchronousTestCase):
    def test_client(self) -> None:
        """Who asks, by name if there is one; no password is shown."""
        self.assertEqual(Wanted().client, "somebody without a login")
        wanted = Wanted(login=ALICE)
        self.assertEqual(wanted.client, "'alice'")
        self.assertNotIn(ALICE.password, repr(wanted))
