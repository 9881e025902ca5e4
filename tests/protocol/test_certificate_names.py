"""The user whom a client certificate names."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.certificate_names import MAX_NAME_LENGTH, user_of_common_name


class CertificateNameTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Usual names stay as they are, upper case too."""
        for name in ("alice", "Alice", "ci-runner_7", "alice@example.com", "a+b"):
            self.assertEqual(user_of_common_name([name]), name)

    def test_imitations(self) -> None:
        """What could be read as something else is written in another way."""
        for name, user in (
            ("alice\0", "alice%00"),
            ("a/b", "a%2Fb"),
            ("alice ", "alice%20"),
            ("alic\u0435", "alic%D0%B5"),
            ("a%2Fb", "a%252Fb"),
            ("anonymous", "%61nonymous"),
            ("authenticated", "%61uthenticated"),
            ("@staff", "%40staff"),
            ("a\nb", "a%0Ab"),
            ("${user}", "%24%7Buser%7D"),
        ):
            self.assertEqual(user_of_common_name([name]), user)

    def test_none(self) -> None:
        """No name, several, and one that is too long are no user."""
        for names in ([], [""], ["a", "b"], ["a" * (MAX_NAME_LENGTH + 1)]):
            self.assertRaises(ValueError, user_of_common_name, names)

    @given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
    def test_apart(self, one: str, other: str) -> None:
        """Two names that differ are two users."""
        if one != other and "\ufffd" not in one + other:
            users = [user_of_common_name([name]) for name in (one, other)]
            self.assertNotEqual(*users)
