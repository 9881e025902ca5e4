"""Which addresses are public, and which only look like it."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.addresses import (
    as_ipv4,
    is_loopback,
    is_public,
    is_public_host,
    is_resolved,
)
from tests.grammar import EXAMPLES, hostile

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2A00:1450:4001::1",
    # What they carry is public.
    "::ffff:8.8.8.8",
    "::ffff:808:808",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2001:0:808:808:0:0:f7f7:f7f7",
    "2a00::5efe:808:808",
)

NOT_PUBLIC = (
    # this network, and what Linux makes of it
    "0.0.0.0",
    "0.255.255.255",
    # private
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    # behind carriers, and Alibaba's metadata
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    # loopback
    "127.0.0.1",
    "127.255.255.255",
    # link-local, and the metadata of AWS, Google, Azure and others
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    # Azure's host, Oracle's metadata
    "168.63.129.16",
    "192.0.0.192",
    # documentation, benchmarks, relays
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.88.99.1",
    # multicast, reserved, broadcast
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    # the same in IPv6
    "::",
    "::1",
    "::2",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "64:ff9b:1::808:808",
    # what they carry is not public
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::FFFF:169.254.169.254",
    "0:0:0:0:0:ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:a00:1::1",
    "2001:0:a00:1:0:0:f7f7:f7f7",
    "2001:0:808:808:0:0:f5ff:fffe",
    "2a00::5efe:a00:1",
    "2a00::200:5efe:7f00:1",
    # with a zone
    "fe80::1%eth0",
    "fe80::1%1",
    "2606:4700::1%eth0",
    "2606:4700::1%",
    # no address, or one in a form that only some read so
    "",
    "localhost",
    "example.com",
    "127.1",
    "2130706433",
    "134744072",
    "0x7f000001",
    "0177.0.0.1",
    "010.8.8.8",
    "8.8.8.8.",
    "8.8.8.8:80",
    "8.8.8.8/32",
    " 8.8.8.8",
    "8.8.8.8\n",
    "[2606:4700::1]",
    "\uff18.8.8.8",
)

v4 = st.ip_addresses(v=4).map(str)
v6 = st.ip_addresses(v=6).map(str)


class TableTests(SynchronousTestCase):
    def test_public(self) -> None:
        """The first and the last address beside what is not public."""
        self.assertEqual([each for each in PUBLIC if not is_public(each)], [])

    def test_not_public(self) -> None:
        """The first and the last of every kind, in every disguise."""
        self.assertEqual([each for each in NOT_PUBLIC if is_public(each)], [])


class PropertyTests(SynchronousTestCase):
    @EXAMPLES
    @given(st.one_of(v4, v6))
    def test_python_agrees(self, address: str) -> None:
        """Nothing is public that Python's own lists call private or reserved."""
        parsed = ip_address(address)
        if is_public(address) and not carries(parsed):
            self.assertTrue(parsed.is_global, address)
            self.assertFalse(parsed.is_multicast, address)

    @EXAMPLES
    @given(v4)
    def test_carried(self, address: str) -> None:
        """An address is judged alike, whatever IPv6 address carries it."""
        number = int(IPv4Address(address))
        google = 0x08080808
        for carrier in (
            0xFFFF << 32 | number,
            0x64FF9B << 96 | number,
            0x2002 << 112 | number << 80 | 1,
            0x20010000 << 96 | number << 64 | google ^ 0xFFFFFFFF,
            0x20010000 << 96 | google << 64 | number ^ 0xFFFFFFFF,
        ):
            carrying = str(IPv6Address(carrier))
            self.assertEqual(is_public(carrying), is_public(address), carrying)

    @EXAMPLES
    @given(hostile)
    def test_any_text(self, text: str) -> None:
        """No text is a public address that is none at all, and none fails."""
        if is_public(text):
            ip_address(text)


def carries(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address carries another, of which Python says other things."""
    return isinstance(address, IPv6Address) and bool(
        address.ipv4_mapped
        or address.sixtofour
        or address.teredo
        or int(address) >> 32 == 0x64FF9B << 64
    )


class HostTests(SynchronousTestCase):
    def test_public(self) -> None:
        """Names with a dot, and public addresses."""
        for host in (
            "registry.example",
            "Registry.Example.",
            "local.example",
            "xinternal.example",
            "1.example",
            "8.8.8.8",
            "2600::1",
            "[2600::1]",
        ):
            self.assertTrue(is_public_host(host), host)

    def test_not_public(self) -> None:
        """Plain names, private domains, and other addresses in any form."""
        for host in (
            "",
            "registry",
            "localhost",
            "registry.localhost",
            "registry.local.",
            "registry.INTERNAL",
            "registry.home.arpa",
            "registry.corp",
            "10.0.0.5",
            "127.0.0.1",
            "127.1",
            "0x7f.0.0.0x1",
            "2130706433",
            "0177.0.0.1",
            "169.254.169.254",
            "::1",
            "[fd00::1]",
            "::ffff:10.0.0.5",
            "64:ff9b::a00:5",
        ):
            self.assertFalse(is_public_host(host), host)


class ResolvedTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        """DNS decides about names, and neither about addresses nor localhost."""
        for host in ("localhost", "LOCALHOST.", "a.localhost", "10.0.0.1", "::1"):
            self.assertFalse(is_resolved(host), host)
        for host in ("a.test", "localhost.test", "127.0.0.1.test", "", "notlocalhost"):
            self.assertTrue(is_resolved(host), host)

    def test_loopback(self) -> None:
        """Only the machine itself reaches 127.0.0.0/8 and ::1."""
        for address in ("127.0.0.1", "127.9.9.9", "::1"):
            self.assertTrue(is_loopback(address), address)
        for address in ("10.0.0.1", "::", "localhost", ""):
            self.assertFalse(is_loopback(address), address)

    def test_ipv4(self) -> None:
        """What the kernel writes as IPv6 at a socket for both is IPv4."""
        for address, expected in (
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:1", "::ffff:1"),
            ("2001:db8::1", "2001:db8::1"),
            ("unix", "unix"),
            ("", ""),
        ):
            self.assertEqual(as_ipv4(address), expected)
