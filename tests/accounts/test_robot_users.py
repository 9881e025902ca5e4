"""Users without a password."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.principals import Account
from regbroker.accounts.robot_users import RobotUsers


class RobotUsersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.source = RobotUsers(["deploy", "ci"])
        self.source.open()
        self.addCleanup(self.source.close)

    def test_no_password(self) -> None:
        """Whatever is shown as the password, nobody is let in."""
        for password in ("", "deploy", "x"):
            found = self.successResultOf(self.ensure("deploy", password))
            self.assertIsNone(found)

    def ensure(self, user: str, password: str) -> Deferred[Account | None]:
        return Deferred.fromCoroutine(self.source.authenticate(user, password))

    def test_known(self) -> None:
        """The users that are named are known, as they are written."""
        for user, account in (
            ("deploy", Account("deploy")),
            ("ci", Account("ci")),
            ("Deploy", None),
            ("alice", None),
        ):
            looked_up = Deferred.fromCoroutine(self.source.look_up(user))
            self.assertEqual(self.successResultOf(looked_up), account)
