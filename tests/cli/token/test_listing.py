"""``regbroker token list``."""

from tests.cli.token.case import TokenCase

RIGHTS = ("--rights", "team/**: pull", "--expires", "90d")


class ListingTests(TokenCase):
    def test_listed(self) -> None:
        """What was made, in order, with its state."""
        self.assertEqual(self.listed(), [])
        _, one = self.made(*RIGHTS, "--note", "for the \x1b[2J cluster")
        _, two = self.made(*RIGHTS)
        self.revoked.write_text(f"{two.id}\n")
        first, second = self.listed()
        self.assertEqual(first["id"], one.id)
        self.assertEqual((first["user"], first["state"]), ("deploy", "valid"))
        self.assertEqual(first["rights"], ["team/**: pull"])
        self.assertEqual((second["id"], second["state"]), (two.id, "revoked"))

    def test_lines(self) -> None:
        """For people: lines that no terminal obeys."""
        _, token = self.made(*RIGHTS, "--note", "for the \x1b[2J cluster")
        status, out, err = self.token("list")
        self.assertEqual((status, err), (0, ""))
        self.assertIn(f"{token.id} valid: deploy at registry.example.com\n", out)
        self.assertIn("  rights: team/**: pull\n", out)
        self.assertIn(r"note: for the \x1b[2J cluster", out)

    def test_odd_lines(self) -> None:
        """What is no record is told of, and hides no other."""
        self.list.write_bytes(b"{}\n\xff\n")
        self.made(*RIGHTS)
        status, out, err = self.token("list")
        self.assertEqual(status, 0)
        self.assertEqual(out.count(" valid: "), 1)
        for line in ("line 1: this is no token", "line 2: this is no token"):
            self.assertIn(line, err)

    def test_editors_of_windows(self) -> None:
        """A mark before the first line hides no token; UTF-16 is told as such."""
        self.made(*RIGHTS)
        text = self.list.read_text()
        self.list.write_text(text.replace("\n", "\r\n"), "utf-8-sig")
        _, out, err = self.token("list")
        self.assertEqual((out.count(" valid: "), err), (1, ""))
        self.list.write_text(text, "utf-16")
        status, out, err = self.token("list")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("UTF-16 text; save it as UTF-8", err)

    def test_unreadable(self) -> None:
        """A list that is none is said to be so."""
        self.list.mkdir()
        status, out, err = self.token("list")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("[regbroker] robot-token-list: ", err)


class WithoutListTests(TokenCase):
    main = ""

    def test_missing(self) -> None:
        """Without the option nothing is noted, and the command says what to write."""
        self.made(*RIGHTS)
        self.assertFalse(self.list.exists())
        status, _, err = self.token("list")
        self.assertEqual(status, 1)
        self.assertIn("[regbroker] robot-token-list: missing", err)
