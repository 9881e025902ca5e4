"""``regbroker token revoke``."""

from regbroker.accounts.robot_tokens import PREFIX, id_of, parse_revoked
from tests.cli.token.case import TokenCase


class RevokeTests(TokenCase):
    def revoke(self, given: str) -> tuple[int, str, str]:
        return self.token("revoke", given)

    def test_revoked(self) -> None:
        """The id is in the file, with what it was for those who read it."""
        _, token = self.made()
        self.revoked.write_text("before")
        status, out, err = self.revoke(token.id)
        self.assertEqual((status, err), (0, ""))
        self.assertIn(f"{token.id} is revoked", out)
        self.assertEqual(parse_revoked(self.revoked.read_bytes()), {"before", token.id})
        self.assertRegex(
            self.revoked.read_text(),
            rf"\Abefore\n{token.id}  # revoked 20\S+Z: deploy, expires 20\S+Z\n\Z",
        )
        self.assertEqual(self.listed()[0]["state"], "revoked")

    def test_twice(self) -> None:
        """To revoke again is no mistake, and adds nothing."""
        _, token = self.made()
        self.revoke(token.id)
        before = self.revoked.read_text()
        status, out, _ = self.revoke(token.id)
        self.assertEqual(status, 0)
        self.assertIn("revoked already", out)
        self.assertEqual(self.revoked.read_text(), before)

    def test_by_the_token(self) -> None:
        """Who has found a token somewhere revokes it by what was found."""
        text, token = self.made()
        status, out, _ = self.revoke(text)
        self.assertEqual(status, 0)
        self.assertIn(token.id, parse_revoked(self.revoked.read_bytes()))
        self.assertNotIn(text, out + self.revoked.read_text())

    def test_not_in_the_list(self) -> None:
        """An id that the list does not have is revoked, with a warning."""
        status, _, err = self.revoke("unknown-id")
        self.assertEqual(status, 0)
        self.assertIn("warning: unknown-id is not in ", err)
        self.assertIn("unknown-id", parse_revoked(self.revoked.read_bytes()))

    def test_no_id(self) -> None:
        """What is no id is refused, and not repeated: it may be a password."""
        for given in ("", "a b", "a\nb", "#a", PREFIX, f"{PREFIX}a.b.c", "p@ss"):
            status, out, err = self.revoke(given)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("neither the id of a robot token", err)
            self.assertNotIn(given or "\0", err)
        self.assertEqual(self.revoked.read_text(), "")

    def test_id_of(self) -> None:
        """Whatever stands there is an id or nothing."""
        for text in ("", "a", "a.b", "a..c", f"{PREFIX}.W10.x", f"{PREFIX}.bnVsbA.x"):
            self.assertEqual(id_of(text), "")


class UnreadableTests(TokenCase):
    def test_utf16(self) -> None:
        """A list in which no line counts is not written to."""
        self.revoked.write_text("id-1\n", encoding="utf-16")
        before = self.revoked.read_bytes()
        status, _, err = self.token("revoke", "id-2")
        self.assertEqual(status, 1)
        self.assertIn("[regbroker] revoked-tokens: ", err)
        self.assertIn("UTF-16 text; save it as UTF-8", err)
        self.assertEqual(self.revoked.read_bytes(), before)


class WithoutFileTests(TokenCase):
    def test_missing(self) -> None:
        """Without the option there is nowhere to write it."""
        text = self.path.read_text().replace("robot-tokens = yes", "")
        self.path.write_text(text.replace("revoked-tokens = revoked", ""))
        status, _, err = self.token("revoke", "id")
        self.assertEqual(status, 1)
        self.assertIn("[regbroker] revoked-tokens: missing", err)
