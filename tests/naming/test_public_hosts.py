"""Which hosts a registry for all of them is meant for."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.naming.public_hosts import host_to_try, is_served


class PublicHostsTests(SynchronousTestCase):
    def test_served(self) -> None:
        """A star is one label, as in a certificate."""
        patterns = ("a.example.com", "*.example.org", "10.0.0.1", "[::1]")
        for host in (
            "a.example.com", "b.example.org", "x-1.example.org", "10.0.0.1", "[::1]",
        ):  # fmt: skip
            self.assertTrue(is_served(host, patterns), host)
        for host in (
            "b.example.com", "example.com", "a.a.example.com", "example.org",
            ".example.org", "a.b.example.org", "xexample.org", "a.example.com.",
            "a.example.org.evil.test", "*.example.net", "localhost", "", "[::2]",
        ):  # fmt: skip
            self.assertFalse(is_served(host, patterns), host)

    def test_all(self) -> None:
        """Who names none means all."""
        self.assertTrue(is_served("whatever.test", ()))

    def test_to_try(self) -> None:
        """What is offered to be tried is served."""
        for host, patterns, expected in (
            ("a.test", (), "a.test"),
            ("*", (), "localhost"),
            ("*", ("a.test", "*.b.test"), "a.test"),
            ("*", ("*.b.test", "a.test"), "a.test"),
            ("*", ("*.b.test",), "registry.b.test"),
        ):
            self.assertEqual(host_to_try(host, patterns), expected)
            if host == "*":
                self.assertTrue(is_served(expected, patterns))
