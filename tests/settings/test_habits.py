"""Hints for what is written as other files have it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.habits import hint, host_hint, path_hint


class HintTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each habit has its hint; what is wrong otherwise has none."""
        for text, words in (
            ('"tcp:0"', "quotation marks"),
            ("'https://a.test'", "quotation marks"),
            ("\u201cdeny\u201d", "quotation marks"),
            ("\u201edeny\u201c", "quotation marks"),
            ("https://::1:5000", "in brackets"),
            ("https://2001:db8::1/path", "in brackets"),
            ("fe80::1", "in brackets"),
            ("${URL}", "variables"),
            ("$CREDENTIALS_DIRECTORY/password", "variables"),
            ("$(cat file)", "variables"),
            ("https://a.test  # the registry", "a line of its own"),
            ("https://a.test // the registry", "a line of its own"),
            ("# the registry\nhttps://a.test", "a line of its own"),
            ("tcp:0;", "take the ; "),
            ('["tcp:0", "tcp:1"]', "no brackets"),
            ("tcp:0\nadmin-listen = tcp:1", "if admin-listen is an option"),
            ("tcp:0\nAdmin-Listen: tcp:1", "if Admin-Listen is an option"),
            ("tcp:0\nadmin-listen =\ntcp:1", "if admin-listen is an option"),
        ):
            self.assertIn(words, hint(text, ["listen", "admin-listen"]), text)
        for text in ("", '"', "x", "tcp:x", "[::1]:443", "a = b", "pa$$word", "a:80"):
            self.assertEqual(hint(text, ["listen"]), "", text)
        # A URL whose scheme is the name of an option.
        self.assertEqual(hint("ldap://user@a.test/dc=a", ["ldap"]), "")

    def test_nothing_repeated(self) -> None:
        """A value may have a password in it."""
        for text in ("'hunter2'", "$hunter2", "hunter2;", "x #hunter2"):
            self.assertNotIn("hunter2", hint(text))

    def test_paths(self) -> None:
        """Paths of files that are made, in which nothing is replaced."""
        for path, words in (
            ("/var/x # y", "a line of its own"),
            ('/etc/"var"', "take them away"),
            ("/etc/$STATE_DIRECTORY", "write the value itself"),
            ("/etc/${HOME}/x", "write the value itself"),
            ("/var/it's", ""),
            ("/var/lib/regbroker", ""),
        ):
            said = path_hint(path)
            self.assertTrue(words in said if words else not said, (path, said))

    def test_hosts(self) -> None:
        """URLs, ports, paths and stars."""
        for text, title in (
            ("https://a.test", "[registry a.test]"),
            ("a.test:8443", "[registry a.test]"),
            ("a.test/team", "[registry a.test]"),
            ('"a.test"', "[registry a.test]"),
            ("*.a.test", "[registry *] and 'hosts = *.a.test' in it"),
        ):
            self.assertIn(title, host_hint(text) or "", text)
        self.assertEqual(host_hint("a_b c"), "")
