"""The addresses at which an upstream may speak of itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import RedirectRefused
from regbroker.protocol.origins import Origin
from regbroker.protocol.own_address import (
    OwnAddress,
    checked_server_of,
    server_of,
    without_dot,
)

OWN = OwnAddress(Origin("https", "registry.up.example", 443), "public.example:8443")
OWN_PORT = OwnAddress(Origin("http", "10.0.0.5", 5000), "public.example")
OWN_DOT = OwnAddress(Origin("https", "up.example.", 443), "public.example.")
OWN_V6 = OwnAddress(Origin("https", "::1", 443), "[::2]")


def owns(own: OwnAddress, authority: str, scheme: str = "https") -> bool:
    """Whether a Location with this host is one of the upstream's own."""
    there = server_of(scheme, authority)
    return there is not None and own.owns(there)


class ServerTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Case, an empty port and the scheme's own mean the same; a dot is kept."""
        up = Origin("https", "up.example", 443)
        for authority in ("up.example", "UP.Example:443", "up.example:"):
            self.assertEqual(server_of("HTTPS", authority), up, authority)
            self.assertEqual(checked_server_of("HTTPS", authority), up)
        dotted = server_of("https", "up.example.:5000")
        self.assertEqual(dotted, Origin("https", "up.example.", 5000))
        assert dotted is not None
        self.assertEqual(without_dot(dotted), Origin("https", "up.example", 5000))
        self.assertEqual(server_of("http", "[::1]:"), Origin("http", "::1", 80))

    def test_bad(self) -> None:
        """Another scheme, user info, and ports that there are not, are refused."""
        for scheme, authority in (
            ("ftp", "up.example"),
            ("https", ""),
            ("https", ":"),
            ("https", ":443"),
            ("https", "up.example:0"),
            ("https", "up.example:65536"),
            ("https", "up.example:443:"),
            ("https", "up.example::"),
            ("https", "::1:"),
            ("https", "up%2Eexample"),
        ):
            self.assertIsNone(server_of(scheme, authority), authority)
            error = self.assertRaises(
                RedirectRefused, checked_server_of, scheme, authority
            )
            self.assertEqual(error.why, "its Location is no http or https URL")
            self.assertEqual(error.status, 502)

    def test_user_info(self) -> None:
        """User info is refused, and is told to nobody."""
        for user in ("s3cret", "s3cret:", "a:s3cret", ""):
            authority = f"{user}@up.example"
            self.assertIsNone(server_of("https", authority))
            error = self.assertRaises(
                RedirectRefused, checked_server_of, "https", authority
            )
            self.assertIn("user info", error.why)
            self.assertNotIn("s3cret", error.why + error.message)


class OwnAddressTests(SynchronousTestCase):
    def test_own(self) -> None:
        """The upstream is known by its host, with its port, or by the public host."""
        for own, hosts in (
            (
                OWN,
                (
                    "registry.up.example",
                    "REGISTRY.up.example:443",
                    "registry.up.example.",
                    "registry.up.example.:443",
                    "registry.up.example:",
                    "Public.example:8443",
                    "public.example.:8443",
                ),
            ),
            (
                OWN_PORT,
                (
                    "10.0.0.5:5000",
                    "10.0.0.5.:5000",
                    "public.example",
                    "public.example:443",
                ),
            ),
            (
                OWN_DOT,
                ("up.example", "up.example.:443", "public.example", "Public.example."),
            ),
            (OWN_V6, ("[::1]", "[::1]:443", "[::1]:", "[::2]:443")),
        ):
            for host in hosts:
                self.assertTrue(owns(own, host), host)

    def test_other_scheme(self) -> None:
        """Behind its balancer a registry knows another scheme, with its own port."""
        for host in ("registry.up.example", "registry.up.example:80"):
            self.assertTrue(owns(OWN, host, "http"), host)
        self.assertTrue(owns(OWN, "registry.up.example:443", "http"))
        self.assertTrue(owns(OWN_PORT, "public.example:80", "http"))
        self.assertFalse(owns(OWN, "registry.up.example:80", "https"))
        self.assertFalse(owns(OWN_PORT, "public.example:443", "http"))

    def test_other(self) -> None:
        """Nothing that only contains it, and no other port."""
        for host in (
            "",
            "up.example",
            "cdn.registry.up.example",
            "registry.up.example.evil",
            "registry.up.example..",
            ".registry.up.example",
            "registry.up.example:0",
            "registry.up.example:5000",
            "user@registry.up.example",
            "registry.up.example@evil",
            "public.example",
        ):
            self.assertFalse(owns(OWN, host), host)
        self.assertFalse(owns(OWN_PORT, "10.0.0.5"))

    def test_public(self) -> None:
        """The public host is its own port, too; nothing is it where there is none."""
        there = Origin("https", "public.example", 8443)
        self.assertTrue(OWN.is_public(there))
        self.assertFalse(OWN.is_public(there._replace(port=443)))
        self.assertFalse(OWN.is_public(OWN.origin))
        self.assertFalse(OwnAddress(OWN.origin, "").is_public(there))

    def test_shown(self) -> None:
        """Clients are told where it is if it is public, or as the operator says."""
        self.assertTrue(OWN.is_shown)
        self.assertFalse(OWN_PORT.is_shown)
        for show, is_shown in (("yes", True), ("no", False)):
            for origin in (OWN.origin, OWN_PORT.origin):
                own = OwnAddress(origin, "", show_address=show)
                self.assertEqual(own.is_shown, is_shown)
