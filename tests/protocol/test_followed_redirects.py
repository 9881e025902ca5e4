"""Where a Location leads."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import RedirectRefused
from regbroker.protocol.followed_redirects import (
    REDIRECTS,
    check_wants_no_login,
    next_url,
)
from regbroker.protocol.origins import Origin
from regbroker.protocol.own_address import OwnAddress
from regbroker.protocol.urls import Url
from tests.grammar import EXAMPLES, hostile

UP = Origin("https", "registry.up.example", 443)
PLAIN = Origin("http", "10.0.0.5", 5000)
STORE = Origin("https", "store.example", 443)
OWN = OwnAddress(UP, "public.example:8443")
HERE = Url(UP, "/v2/acme/app/blobs/sha256:0?a=b")

printable = st.text(alphabet="ab1:/.;=[]%@?&\xe9", max_size=30)

#: Signed as S3 and Azure do it.
SIGNED = "X-Amz-Signature=0a%2Fb+c%20d&se=2026-01-01T00%3A00%3A00Z&x&=;~'()*"


def led(location: str, here: Url = HERE, own: OwnAddress = OWN) -> tuple[Origin, str]:
    """Where a Location leads."""
    place = next_url(here, location, own)
    return place.origin, place.target


class NextPlaceTests(SynchronousTestCase):
    def test_absolute(self) -> None:
        """A URL is taken as it is, to the last byte of its query."""
        for location, target in (
            ("https://store.example/b/key", "/b/key"),
            (f"https://store.example/b//./key?{SIGNED}", f"/b//./key?{SIGNED}"),
            ("https://store.example:443", "/"),
            ("https://store.example?x=1", "/?x=1"),
            ("HTTPS://Store.EXAMPLE/Key#part", "/Key"),
            ("//store.example/b", "/b"),
        ):
            self.assertEqual(led(location), (STORE, target), location)
        self.assertEqual(
            led("https://[2001:DB8::1]:8443/x"),
            (Origin("https", "2001:db8::1", 8443), "/x"),
        )

    def test_relative(self) -> None:
        """What has no host leads on from the URL that has answered."""
        for location, target in (
            ("/artifacts/x?y", "/artifacts/x?y"),
            ("other;x?y;", "/v2/acme/app/blobs/other;x?y;"),
            ("./x", "/v2/acme/app/blobs/x"),
            ("../manifests/1", "/v2/acme/app/manifests/1"),
            ("?c=d", "/v2/acme/app/blobs/sha256:0?c=d"),
            ("#x", HERE.target),
            ("", HERE.target),
        ):
            self.assertEqual(led(location), (UP, target), location)
        self.assertEqual(led("/x", Url(STORE, "/b/key")), (STORE, "/x"))

    def test_port(self) -> None:
        """Another port of the same host is another server."""
        self.assertEqual(
            led("https://registry.up.example:8443/x"),
            (Origin("https", "registry.up.example", 8443), "/x"),
        )

    def test_public_host(self) -> None:
        """A registry that is told our name means itself, whatever the scheme."""
        for location in (
            "https://public.example:8443/v2/x",
            "http://Public.example:8443/v2/x",
            "https://public.example.:8443/v2/x",
        ):
            self.assertEqual(led(location), (UP, "/v2/x"), location)
        self.assertEqual(led("https://public.example/x")[0].host, "public.example")
        own = OwnAddress(UP, "public.example")
        self.assertEqual(led("https://public.example:443/x", own=own), (UP, "/x"))
        nameless = OwnAddress(UP, "")
        self.assertRaises(RedirectRefused, led, "mailto:x", HERE, nameless)

    def test_own_host(self) -> None:
        """The upstream's own host is one in any writing; a storage's is kept."""
        for host in (
            "REGISTRY.up.example",
            "registry.up.example:443",
            "registry.up.example:",
            "registry.up.example.",
            "registry.up.example.:443",
        ):
            self.assertEqual(led(f"https://{host}/v2/x"), (UP, "/v2/x"), host)
        self.assertEqual(
            led("https://store.example./x"),
            (Origin("https", "store.example.", 443), "/x"),
        )

    def test_https_stays(self) -> None:
        """From https there is no way back to http, by no detour."""
        for location in (
            "http://store.example/b",
            "http://registry.up.example/v2/x",
            "http://registry.up.example:443/v2/x",
        ):
            self.assertRaises(RedirectRefused, led, location)
        own = OwnAddress(PLAIN, "public.example")
        here = Url(PLAIN, "/v2/x")
        self.assertEqual(led("http://a.example/b", here, own)[0].scheme, "http")
        self.assertEqual(led("https://store.example/b", here, own), (STORE, "/b"))
        for location in ("http://10.0.0.5:5000/x", "https://public.example/x"):
            self.assertRaises(RedirectRefused, led, location, Url(STORE, "/b"), own)

    def test_no_url(self) -> None:
        """Other schemes, credentials and what is no host are refused."""
        for location in (
            "ftp://store.example/x",
            "file:///etc/passwd",
            "gopher://127.0.0.1:25/x",
            "unix:/run/docker.sock",
            "sha256:0",
            "javascript:alert(1)",
            "https:///x",
            "https://user:password@store.example/x",
            "https://store.example\\@127.0.0.1/x",
            "https://store.example:0/x",
            "https://store.example:99999/x",
            "https://[::1/x",
            "https://[fe80::1%25eth0]/x",
            "https://st\xf6re.example/x",
            "https://store example/x",
        ):
            self.assertRaises(RedirectRefused, led, location)

    def test_secrets(self) -> None:
        """Why a redirect is refused never tells its query."""
        for location in (f"http://store.example/?{SIGNED}", f"ftp://x/?{SIGNED}"):
            error = self.assertRaises(RedirectRefused, led, location)
            self.assertNotIn("Amz", str(error) + error.why)

    def test_unwritten(self) -> None:
        """What may not stand in a request line is written in its escaped form."""
        for location, target in (
            ("/\xc3\xa9", "/%C3%A9"),
            ("/\x80\xff?\xa0", "/%80%FF?%A0"),
            ('/"<>`{|}', '/"<>`{|}'),
        ):
            self.assertEqual(led(location)[1], target)

    def test_in_no_url(self) -> None:
        """Blanks and control characters are refused, wherever they stand."""
        for character in map(chr, (*range(0x21), 0x7F)):
            for location in (
                f"{character}//[x",
                f"/a{character}b",
                f"https://store.example/b{character}",
                f"https://store.example/b?c{character}d",
                f"{character}https://store.example/b",
                f"x#{character}",
            ):
                self.assertRaises(RedirectRefused, led, location)

    def test_slashes(self) -> None:
        """A path that looks like a host stays a path, also for what follows."""
        for target, location, expected in (
            ("//[x", "y", "/y"),
            ("//evil.example/x", "y", "/evil.example/y"),
            ("//evil.example/x/z", "../y", "/evil.example/y"),
            ("//evil.example", "?y", "//evil.example?y"),
        ):
            self.assertEqual(led(location, Url(UP, target)), (UP, expected))

    @EXAMPLES
    @given(printable, printable)
    def test_any_two(self, before: str, text: str) -> None:
        """Nor does it matter where the one before has led."""
        try:
            there = led(f"https://store.example/{before}")
            _, target = led(text, Url(*there))
        except RedirectRefused:
            return
        self.assertRegex(target, r"\A/[!-~]*\Z")

    @EXAMPLES
    @given(hostile)
    def test_any_text(self, text: str) -> None:
        """Whatever a Location is, it is refused or leads to a target on a line."""
        try:
            origin, target = led(
                text.encode("utf-8", "surrogateescape").decode("latin-1")
            )
        except RedirectRefused:
            return
        self.assertRegex(target, r"\A/[!-~]*\Z")
        self.assertEqual(origin.scheme, "https")

    @EXAMPLES
    @given(st.from_regex(r"/[!-~]*", fullmatch=True))
    def test_any_target(self, target: str) -> None:
        """Nothing of another server's URL changes, but that it has no fragment."""
        wanted = target.partition("#")[0]
        for location in (f"https://store.example{target}", f"//store.example{target}"):
            self.assertEqual(led(location), (STORE, wanted))

    def test_statuses(self) -> None:
        """304 is no redirect, and 300 leads nowhere of its own."""
        self.assertEqual(sorted(REDIRECTS), [301, 302, 303, 307, 308])


class LoginTests(SynchronousTestCase):
    """Whether what a redirect leads to is a registry with logins of its own."""

    def refusal(self, target: str, status: int, challenge: bytes | None) -> str:
        """Why it is; empty where it is not."""
        try:
            check_wants_no_login(Url(STORE, target), status, challenge)
        except RedirectRefused as error:
            return str(error.why)
        return ""

    def test_registries(self) -> None:
        """401 says so, and so does 403 with a challenge; what to write is told."""
        blob = "/v2/team/app/blobs/sha256:" + "0" * 64
        for target, status, challenge in (
            (blob, 401, None),
            (blob, 401, b"Bearer"),
            (blob, 403, b"Bearer"),
        ):
            why = self.refusal(target, status, challenge)
            self.assertIn("for team/app; write an [upstream]", why)
            self.assertIn("'url = https://store.example'", why)
        self.assertIn("login of its own; write", self.refusal("/v2/x", 401, None))

    def test_storages(self) -> None:
        """Other statuses do not, nor does any status of what is no registry."""
        for target, status, challenge in (
            ("/v2/a/blobs/x", 403, None),
            ("/v2/a/blobs/x", 404, b"Bearer"),
            ("/v2/a/blobs/x", 200, b"Bearer"),
            ("/bucket/x", 401, b"Bearer"),
            ("/bucket/v2/x", 403, b"Bearer"),
        ):
            self.assertEqual(self.refusal(target, status, challenge), "", target)
