"""Redirects within the upstream's own host."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import RedirectRefused
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.names import Endpoint
from regbroker.protocol.origins import Origin
from regbroker.protocol.own_address import OwnAddress
from regbroker.protocol.own_redirects import check_leads_on, is_followed, is_prefix

RULES = NameMapping([parse_rule("team = acme_team")], ["up"])
DIGEST = "sha256:" + "0a" * 32
HERE = f"/v2/acme_team/app/blobs/{DIGEST}?a=b&c"

HTTP = OwnAddress(Origin("http", "up.example", 5000), "public.example")
HTTPS = OwnAddress(Origin("https", "up.example", 443), "public.example")
PATH = OwnAddress(Origin("http", "up.example", 80), "public.example", "/repo")


def to_public(name: str) -> str | None:
    """What an upstream name is called here."""
    return RULES.to_public(name, "up")


class LeadsOnTests(SynchronousTestCase):
    def refused(self, location: str, own: OwnAddress, here: str = HERE) -> str:
        """Return why a redirect leads to what was asked for."""
        error: RedirectRefused = self.assertRaises(
            RedirectRefused, check_leads_on, location, own, here
        )
        self.assertEqual(error.status, 502)
        self.assertIn("to itself", error.message)
        self.assertNotIn("url =", error.message)
        self.assertNotIn("example", error.message)
        return error.why

    def test_https(self) -> None:
        """A registry that wants https says so by where it redirects."""
        for location, right in (
            (f"https://up.example:5000{HERE}", "https://up.example:5000"),
            (f"https://up.example{HERE}", "https://up.example"),
            (f"https://UP.example:5443{HERE}", "https://up.example:5443"),
            (f"HTTPS://public.example{HERE}", "https://up.example"),
        ):
            self.assertIn(f"'url = {right}'", self.refused(location, HTTP))
        for base in ("/repo", ""):
            why = self.refused(f"https://up.example{base}{HERE}", PATH)
            self.assertIn("'url = https://up.example/repo'", why)

    def test_same(self) -> None:
        """So does every redirect to what was asked for, whatever its form."""
        for own in (HTTP, HTTPS, PATH):
            for location in (
                HERE,
                f"//{own.origin.netloc}{HERE}",
                f"{own.origin}{HERE}",
                f"https://public.example{HERE}",
                f"http://public.example{HERE}#x",
                f"http://public.example.:80{HERE}",
                HERE.replace(":", "%3a"),
                HERE.replace("a=b&c", "c&a=%62"),
                "?a=b&c",
                f"{DIGEST.replace(':', '%3A')}?a=b&c",
            ):
                self.refused(location, own)
        self.refused(f"http://up.example{HERE}", HTTPS)

    def test_ping(self) -> None:
        """The ping, too."""
        self.refused("https://up.example/v2/", PATH, "/v2/")
        self.refused("https://up.example/repo/v2/", PATH, "/v2/")

    def test_others(self) -> None:
        """What leads to something else leads on."""
        for own in (HTTP, HTTPS, PATH):
            for location in (
                f"https://storage.example{HERE}",
                f"//storage.example{HERE}",
                f"http://up.example:7000{HERE}",
                f"https://up.example{HERE}&d",
                f"https://up.example{HERE[:-1]}",
                f"https://up.example/x{HERE}",
                f"ftp://up.example{HERE}",
                f"https://user@up.example{HERE}",
                f"/v2/acme_team/app/manifests/{DIGEST}",
                "/downloads/x",
                "https://up.example",
                "",
                "x:y",
            ):
                check_leads_on(location, own, HERE)
        # A slash that was missing.
        check_leads_on("/v2/", HTTP, "/v2")
        check_leads_on(f"https://up.example:5443{HERE}", HTTPS, HERE)


class FollowedTests(SynchronousTestCase):
    PREFIXES = ("/downloads/", "/repo/files/")

    def is_followed(
        self, target: str, own: OwnAddress = HTTPS, kind: Endpoint = Endpoint.BLOB
    ) -> bool:
        """Tell whether a redirect of something of this kind is followed there."""
        return is_followed(target, own, to_public, kind, self.PREFIXES)

    def test_same_kind(self) -> None:
        """What a name that is served has of the same kind."""
        for kind, target in (
            (Endpoint.BLOB, f"/v2/acme_team/app/blobs/{DIGEST}?x"),
            (Endpoint.BLOB, "/v2/acme_team/other/blobs/sha256%3Aabc"),
            (Endpoint.MANIFEST, "/v2/acme_team/app/manifests/1.0"),
            (Endpoint.TAGS, "/v2/acme_team/app/tags/list?last=x"),
            (Endpoint.REFERRERS, f"/v2/acme_team/app/referrers/{DIGEST}"),
            (Endpoint.CATALOG, "/v2/_catalog?last=acme_team/app"),
            (Endpoint.BASE, "/v2/"),
        ):
            self.assertTrue(self.is_followed(target, kind=kind), target)
            self.assertTrue(self.is_followed(target, PATH, kind), target)
            self.assertTrue(self.is_followed(f"/repo{target}", PATH, kind), target)
            for other in Endpoint:
                if other is not kind:
                    self.assertFalse(self.is_followed(target, kind=other), target)

    def test_not_served(self) -> None:
        """Other names are not, however the path is written."""
        for own, target in (
            (HTTPS, f"/v2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/v2/acme_team/../other/blobs/{DIGEST}"),
            (HTTPS, f"//v2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/V2/acme_team/app/blobs/{DIGEST}"),
            (HTTPS, f"/v2;a/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/%2576%2532/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/downloads/../v2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/downloads/%2e%2e/v2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/downloads/%252e%252e/v2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/downloads/..;/v2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/downloads/..%2Fv2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/downloads//v2/other/app/blobs/{DIGEST}"),
            (HTTPS, f"/downloads\\..\\v2/other/app/blobs/{DIGEST}"),
            (PATH, f"/repo/v2/other/app/blobs/{DIGEST}"),
            (PATH, f"/repo/V2/acme_team/app/blobs/{DIGEST}"),
        ):
            self.assertFalse(self.is_followed(target, own), target)
        for target in ("/v2/_catalog?last=other/app", "/v2/_catalog?last=%2e"):
            self.assertFalse(self.is_followed(target, kind=Endpoint.CATALOG))

    def test_prefixes(self) -> None:
        """Outside the API, what begins as the operator has said."""
        for target in ("/downloads/x", "/downloads/x/y;a?b=/../", "/repo/files/%C3"):
            self.assertTrue(self.is_followed(target), target)
        for target in (
            "/",
            "/downloads",
            "/downloadsx/",
            "/Downloads/x",
            "/x/downloads/y",
            "/%64ownloads/../x",
            "/files/x",
        ):
            self.assertFalse(self.is_followed(target), target)

    def test_no_prefixes(self) -> None:
        """Nothing, when none is named."""
        self.assertFalse(
            is_followed("/downloads/x", HTTPS, to_public, Endpoint.BLOB, ())
        )


class PrefixTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Whole segments outside the API."""
        for text in ("/downloads/", "/a/b.c/_d~-/", "/v2x/"):
            self.assertTrue(is_prefix(text), text)

    def test_bad(self) -> None:
        """Everything, the API, and what is no path."""
        for text in (
            "",
            "/",
            "//",
            "x/",
            "/x",
            "/v2/",
            "/V2/",
            "/x/v2/",
            "/../",
            "/./",
            "/x/../",
            "/x y/",
            "/x%20/",
            "/x?/",
            "/x;y/",
            "https://x/",
        ):
            self.assertFalse(is_prefix(text), text)
