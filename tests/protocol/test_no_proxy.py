"""Hosts that are reached without a proxy."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.no_proxy import is_without_proxy
from regbroker.protocol.origins import Origin


class NoProxyTests(SynchronousTestCase):
    def is_without(self, no_proxy: str, host: str, port: int = 443) -> bool:
        """Whether this host is reached without a proxy."""
        return is_without_proxy(Origin("https", host, port), no_proxy)

    def test_names(self) -> None:
        """A name stands for itself and for what is below it, with a dot or without."""
        for entry in ("example.com", ".example.com", "*.example.com", "Example.COM"):
            for host in ("example.com", "a.example.com", "b.a.example.com"):
                self.assertTrue(self.is_without(f"x.test, {entry}", host))
            for host in ("badexample.com", "example.com.test", "com"):
                self.assertFalse(self.is_without(f"x.test, {entry}", host))

    def test_addresses(self) -> None:
        """Addresses and networks are for addresses, not for names."""
        self.assertTrue(self.is_without("10.0.0.0/8", "10.1.2.3"))
        self.assertTrue(self.is_without("10.1.2.3,[::1]", "::1"))
        self.assertTrue(self.is_without("fd00::/8", "fd12::1"))
        self.assertFalse(self.is_without("10.0.0.0/8", "11.0.0.1"))
        self.assertFalse(self.is_without("10.0.0.0/8", "10.example.com"))
        self.assertFalse(self.is_without("1.2.3", "10.1.2.3"))

    def test_ports(self) -> None:
        """A port narrows an entry down."""
        self.assertTrue(self.is_without("a.test:5000", "a.test", 5000))
        self.assertFalse(self.is_without("a.test:5000", "a.test", 443))
        self.assertTrue(self.is_without("[::1]:5000", "::1", 5000))

    def test_all_and_none(self) -> None:
        """A star is for all; nothing is for none."""
        self.assertTrue(self.is_without("*", "a.test"))
        for nothing in ("", " , ", ".", "*."):
            self.assertFalse(self.is_without(nothing, "a.test"), nothing)
