"""Whose tokens they are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.principals import MAX_USER_LENGTH
from regbroker.broker.token_users import MAX_REMEMBERED_USERS, TokenUsers


class TokenUsersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.users = TokenUsers()

    def test_known(self) -> None:
        """A token is its user's; one that nobody has got here is nobody's."""
        self.users.remember("t1", "alice")
        self.users.remember("t2", "")
        self.assertEqual(self.users.find("t1"), "alice")
        self.assertEqual(self.users.find("t2"), "")
        self.assertIsNone(self.users.find("t3"))
        self.assertIsNone(self.users.find(""))

    def test_again(self) -> None:
        """A token that two users get is that of the last one."""
        self.users.remember("t1", "alice")
        self.users.remember("t1", "bob")
        self.assertEqual(self.users.find("t1"), "bob")

    def test_long(self) -> None:
        """Of a very long name the beginning is kept."""
        self.users.remember("t1", "a" * 5000)
        self.assertEqual(self.users.find("t1"), "a" * MAX_USER_LENGTH)

    def test_forgotten(self) -> None:
        """Of very many, the oldest are forgotten."""
        self.users.remember("t1", "alice")
        for number in range(MAX_REMEMBERED_USERS):
            self.users.remember(str(number), "bob")
        self.assertIsNone(self.users.find("t1"))
        self.assertEqual(self.users.find("0"), "bob")

    def test_no_tokens_in_memory(self) -> None:
        """Of a token only a hash is kept, which is another one in each memory."""
        others = TokenUsers()
        for users in (self.users, others):
            users.remember("t1", "alice")
        (mine,), (theirs,) = self.users._users, others._users
        self.assertNotEqual(mine, theirs)

    def test_asked(self) -> None:
        """What a token was asked for is known beside its user."""
        names = [("up", "a"), ("up", "b")]
        self.users.asked.remember("t1", names)
        self.assertTrue(self.users.asked.has("t1", ("up", "a")))
        self.assertFalse(self.users.asked.has("t1", ("up", "c")))
