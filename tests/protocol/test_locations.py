"""``Location`` and ``Link``: the upstream's URLs as ours."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import RedirectRefused, UpstreamMalformed
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.locations import (
    LINK,
    is_plainly_outside,
    link,
    plain_path,
    redirect_location,
    upload_location,
)
from regbroker.protocol.origins import Origin, parse_origin
from regbroker.protocol.own_address import OwnAddress
from tests.grammar import EXAMPLES, hostile, names

RULES = NameMapping(
    [parse_rule("team = acme_team"), parse_rule("lib/* = hub/*")], ["up"]
)


def to_public(name: str) -> str | None:
    """What an upstream name is called here."""
    return RULES.to_public(name, "up")


DIGEST = "sha256:" + "0a" * 32

# Signed by the registry; the upstream name stands within, in base64.
STATE = (
    "_state=4xQ2bKpvRyKy0kgmN2kvGkGHcsA7kXnX_S7ao7-f3XZ7Ik5hbWUiOiJhY21lX3RlYW0vYXBw"
    "IiwiVVVJRCI6IjZiM2M5YTkzIn0%3d+%2B/=&&x"
)

OWN = OwnAddress(Origin("https", "registry.up.example", 443), "public.example:8443")
OWN_PORT = OwnAddress(Origin("http", "10.0.0.5", 5000), "public.example")
OWN_PATH = OwnAddress(Origin("https", "nexus.example", 443), "public.example", "/repo")

SHOWN = replace(OWN_PORT, show_address="yes")

#: What may stand before a path without changing whose it is.
HOSTS = (
    "",
    "https://registry.up.example",
    "https://registry.up.example:443",
    "http://registry.up.example",
    "HTTPS://Registry.UP.example",
    "//registry.up.example",
    "https://registry.up.example.",
    "https://registry.up.example.:443",
    "https://registry.up.example:",
    "http://registry.up.example:80",
    "https://public.example.:8443",
    "https://public.example:8443",
    "http://public.example:8443",
)


class PlainPathTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """A path that all servers read alike is decoded; query and fragment go."""
        for target, path in (
            ("/", "/"),
            ("/a/b?c=/../", "/a/b"),
            ("/a;p/b#/../", "/a;p/b"),
            ("/a%3Ab/", "/a:b/"),
            ("/...", "/..."),
        ):
            self.assertEqual(plain_path(target), path)

    def test_ambiguous(self) -> None:
        """One that servers may read in several ways is none."""
        for target in (
            *("", "a/b", "?a", "//a", "/a//b", "/./a", "/a/..", "/..;p/a"),
            *("/%2e%2e/a", "/a%2Fb", "/a%5Cb", "/a\\b", "/a%25b", "/a%00", "/a b"),
        ):
            self.assertIsNone(plain_path(target), target)


class OriginTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Scheme, host in lower case, and the port, the scheme's if none is given."""
        for scheme, authority, origin, text in (
            (
                "https",
                "a.example",
                Origin("https", "a.example", 443),
                "https://a.example",
            ),
            (
                "HTTPS",
                "A.Example:443",
                Origin("https", "a.example", 443),
                "https://a.example",
            ),
            ("http", "a:80", Origin("http", "a", 80), "http://a"),
            ("http", "a:443", Origin("http", "a", 443), "http://a:443"),
            (
                "https",
                "127.0.0.1:5000",
                Origin("https", "127.0.0.1", 5000),
                "https://127.0.0.1:5000",
            ),
            ("https", "[::1]", Origin("https", "::1", 443), "https://[::1]"),
            (
                "https",
                "[2001:DB8::1]:5000",
                Origin("https", "2001:db8::1", 5000),
                "https://[2001:db8::1]:5000",
            ),
        ):
            found = parse_origin(scheme, authority)
            self.assertEqual(found, origin)
            self.assertEqual(str(found), text)

    def test_bad(self) -> None:
        """What is no server of HTTP, or only looks like one."""
        for scheme, authority in (
            ("ftp", "a"),
            ("", "a"),
            ("javascript", "a"),
            ("https", ""),
            ("https", ":443"),
            ("https", "a:"),
            ("https", "a:0"),
            ("https", "a:65536"),
            ("https", "a:-1"),
            ("https", "a:+1"),
            ("https", "a:٤٤٣"),
            ("https", "a:443:443"),
            ("https", "user@a"),
            ("https", "user:pass@a"),
            ("https", "a\\@b"),
            ("https", "a/b"),
            ("https", "a b"),
            ("https", "a\n"),
            ("https", "a\0"),
            ("https", "a,b"),
            ("https", "a%2eb"),
            ("https", "ä.example"),
            ("https", "::1"),
            ("https", "[::1"),
            ("https", "[a.example]"),
            ("https", "[::1%25eth0]"),
            ("https", "[::1]x"),
        ):
            self.assertIsNone(parse_origin(scheme, authority), (scheme, authority))

    @EXAMPLES
    @given(st.sampled_from(("http", "https")), hostile)
    def test_anything(self, scheme: str, authority: str) -> None:
        """What is read is written so that it is read the same."""
        origin = parse_origin(scheme, authority)
        if origin is not None:
            self.assertEqual(parse_origin(scheme, origin.netloc), origin)
            self.assertNotRegex(str(origin), r"[^!-~]|@|\\")


class UploadLocationTests(SynchronousTestCase):
    def location(self, location: str, own: OwnAddress = OWN) -> str:
        return upload_location(location, own, to_public)

    def test_ours(self) -> None:
        """
        Relative or absolute, by whatever host, the Location becomes relative,
        with the public name; the rest is the same byte for byte.
        """
        for host in (*HOSTS, "http://10.0.0.7:5000", "https://backend"):
            for rest in (
                f"/blobs/uploads/6b3c9a93-af5d?{STATE}",
                "/blobs/uploads/6b3c9a93-af5d",
                "/blobs/upload/1.abc%3D?part=1",
                f"/blobs/{DIGEST}",
                f"/manifests/{DIGEST}",
                "/manifests/1.0",
                "/blobs/sha256%3Aabc",
            ):
                self.assertEqual(
                    self.location(f"{host}/v2/acme_team/app{rest}"),
                    f"/v2/team/app{rest}",
                )

    def test_other_rules(self) -> None:
        """The rule that leads back decides."""
        self.assertEqual(
            self.location(f"/v2/hub/alpine/blobs/{DIGEST}"),
            f"/v2/lib/alpine/blobs/{DIGEST}",
        )

    def test_base_path(self) -> None:
        """
        A path before ``/v2`` is the upstream's own affair: it stands there, or its
        own proxy takes it away, and both mean the same.
        """
        for host in ("", "https://nexus.example", "http://backend:8081"):
            for base in ("/repo", ""):
                self.assertEqual(
                    self.location(
                        f"{host}{base}/v2/acme_team/app/blobs/uploads/x?a", OWN_PATH
                    ),
                    "/v2/team/app/blobs/uploads/x?a",
                )
        for other in (
            "/repository/v2/acme_team/app/blobs/uploads/x",
            "/repo/repo/v2/acme_team/app/blobs/uploads/x",
            "/repo/v2/other/app/blobs/uploads/x",
            "/v2/other/app/blobs/uploads/x",
        ):
            self.assertRaises(UpstreamMalformed, self.location, other, OWN_PATH)

    def test_base_path_in_the_api(self) -> None:
        """Where the base path begins as the API does, the API behind it counts."""
        own = replace(OWN_PATH, base_path="/v2/acme_team")
        for location in (
            "/v2/acme_team/v2/acme_team/app/blobs/uploads/x",
            "/v2/acme_team/app/blobs/uploads/x",
        ):
            self.assertEqual(
                self.location(location, own), "/v2/team/app/blobs/uploads/x"
            )
        self.assertRaises(
            UpstreamMalformed,
            self.location,
            "/v2/acme_team/v2/other/app/blobs/uploads/x",
            own,
        )

    def test_relative(self) -> None:
        """A Location may be relative to what was asked for (RFC 9110, 10.2.2)."""
        here = "/v2/acme_team/app/blobs/uploads/"
        for location in ("x?a=b", "./x?a=b", "../uploads/x?a=b"):
            for own in (OWN, OWN_PATH):
                self.assertEqual(
                    upload_location(location, own, to_public, here),
                    "/v2/team/app/blobs/uploads/x?a=b",
                )
        self.assertEqual(
            upload_location("?_state=%2f", OWN, to_public, f"{here}x?_state=1"),
            "/v2/team/app/blobs/uploads/x?_state=%2f",
        )
        for location in ("javascript:x", "../../../../other/app/blobs/uploads/x"):
            self.assertRaises(
                UpstreamMalformed, upload_location, location, OWN, to_public, here
            )

    def carried(self, location: str, own: OwnAddress = OWN) -> str:
        """Return what is to be carried, and where that is then."""
        found: list[str] = []

        def carry(target: str) -> str:
            found.append(target)
            return "/v2/team/app/blobs/uploads/sealed"

        ours = upload_location(location, own, to_public, "/v2/x", carry)
        self.assertEqual(ours, "/v2/team/app/blobs/uploads/sealed")
        return found[0]

    def test_carried(self) -> None:
        """A path of the upstream's own host outside the API is carried."""
        path = "/artifacts-uploads/namespaces/a:b/uploads/x%3Dy"
        for host in HOSTS:
            for query in ("", f"?{STATE}"):
                target = path + query
                self.assertEqual(self.carried(host + target), target)
        for base in ("/repo", ""):
            self.assertEqual(self.carried(f"{base}{path}#x", OWN_PATH), path)

    def test_not_carried(self) -> None:
        """What another host has, or may be taken for the API, is not."""
        for location in (
            "https://storage.example/upload/1",
            "//storage.example/upload/1",
            "https://registry.up.example:5000/upload/1",
            "https://user@registry.up.example/upload/1",
            "https://registry.up.example:0/upload/1",
            "/v2/other/app/blobs/uploads/x",
            "/v2/acme_team/app/blobs/uploads/x/y",
            "/V2/other/app/blobs/uploads/x",
            "/v2;a=b/other/app/blobs/uploads/x",
            "/%762/other/app/blobs/uploads/x",
            "/v2%2Fother/app/blobs/uploads/x",
            "/%2576%2532/other/app/blobs/uploads/x",
            "/x/../v2/other/app/blobs/uploads/x",
            "/x/%2E%2e/v2/other/app/blobs/uploads/x",
            "/x/..;a/v2/other/app/blobs/uploads/x",
            "/x%5C..%5Cv2/other/app/blobs/uploads/x",
            "/x//v2/other/app/blobs/uploads/x",
        ):
            self.assertRaises(UpstreamMalformed, self.carried, location)

    def test_refused(self) -> None:
        """What would lead the client past us is not passed on."""
        for location in (
            "/upload/here",
            "https://storage.example/bucket?signature=x",
            "https://registry.up.example",
            "/v2/other/app/blobs/uploads/x",
            "/v2/team/app/blobs/uploads/x",
            "/v2/acme_team/../other/blobs/uploads/x",
            "/v2/acme_team/app/blobs/uploads/..",
            "/v2/acme_team/app/blobs/uploads/x/y",
            "v2/acme_team/app/blobs/uploads/x",
            "?_state=x",
            "",
            "//",
            "javascript:alert(1)",
        ):
            error = self.assertRaises(UpstreamMalformed, self.location, location)
            self.assertEqual(error.status, 502)

    @EXAMPLES
    @given(st.sampled_from(HOSTS), names, hostile)
    def test_opaque(self, host: str, name: str, query: str) -> None:
        """Whatever the query, not a byte of it changes."""
        ours = self.location(f"{host}/v2/hub/{name}/blobs/uploads/x?{query}y")
        self.assertEqual(ours, f"/v2/lib/{name}/blobs/uploads/x?{query}y")

    @EXAMPLES
    @given(hostile, hostile)
    def test_anything(self, host: str, path: str) -> None:
        """Whatever comes back is a path here, never another host."""
        for location in (host + path, f"//{host}/v2/acme_team/{path}"):
            try:
                ours = self.location(location)
            except UpstreamMalformed:
                continue
            self.assertRegex(ours, r"\A/v2(/|\Z|\?)")
            self.assertNotIn("acme_team", ours.partition("?")[0])


class RedirectLocationTests(SynchronousTestCase):
    def location(self, location: str, own: OwnAddress = OWN) -> str:
        return redirect_location(location, own, to_public)

    def test_elsewhere(self) -> None:
        """A redirect to another host is passed on byte for byte."""
        for location in (
            "https://storage.example/acme_team/app?X-Amz-Signature=%2b+x&&",
            "https://cdn.registry.up.example/v2/acme_team/app/manifests/1",
            "https://registry.up.example:5000/v2/acme_team/app/manifests/1",
            "//storage.example/x",
            "http://storage.example",
            "https://Storage.example.:443/x",
        ):
            self.assertEqual(self.location(location), location)

    def test_no_place(self) -> None:
        """User info is passed on to nobody, and what names no server neither."""
        for host in (
            "https://registry.up.example@evil.example",
            "https://alice:s3cret@registry.up.example",
            "//alice@registry.up.example",
            "https://alice:s3cret@storage.example",
            "https://registry.up.example:0",
            "https://registry%2Eup.example",
            "ftp://registry.up.example",
            "https://",
        ):
            for path in ("/v2/acme_team/app/manifests/1", "/download/x"):
                error = self.assertRaises(RedirectRefused, self.location, host + path)
                self.assertNotIn("s3cret", error.why + error.message)

    def test_own_host(self) -> None:
        """A redirect to the registry's own host is mapped, and relative."""
        for host in HOSTS:
            self.assertEqual(
                self.location(f"{host}/v2/acme_team/app/blobs/{DIGEST}?{STATE}"),
                f"/v2/team/app/blobs/{DIGEST}?{STATE}",
            )
            self.assertEqual(self.location(f"{host}/v2/"), "/v2/")

    def test_outside_the_api(self) -> None:
        """
        Another path of the registry is asked of the registry itself. Where it has
        named our public host, clients are not told where it is.
        """
        download = "/artifacts-downloads/namespaces/acme/x?token=%2b"
        for own, location, expected in (
            (OWN, download, f"https://registry.up.example{download}"),
            (SHOWN, download, f"http://10.0.0.5:5000{download}"),
            (
                SHOWN,
                f"http://10.0.0.5:5000{download}",
                f"http://10.0.0.5:5000{download}",
            ),
            (OWN_PATH, download, f"https://nexus.example{download}"),
            (
                OWN,
                f"http://registry.up.example{download}",
                f"http://registry.up.example{download}",
            ),
            (
                OWN,
                f"https://public.example:8443{download}",
                f"https://public.example:8443{download}",
            ),
            (
                OWN_PORT,
                f"//PUBLIC.example{download}",
                f"//PUBLIC.example{download}",
            ),
            (OWN, "https://registry.up.example", "https://registry.up.example"),
        ):
            self.assertEqual(self.location(location, own), expected)

    def test_not_shown(self) -> None:
        """Where the upstream is no public server, clients are not told of it."""
        for own in (
            OWN_PORT,
            replace(OWN, origin=Origin("https", "nexus", 443)),
            replace(OWN, origin=Origin("http", "localhost", 5000)),
            replace(OWN, origin=Origin("https", "registry.internal", 443)),
            replace(OWN, origin=Origin("https", "fd00::1", 443)),
            replace(OWN, show_address="no"),
        ):
            for host in ("", str(own.origin), f"//{own.origin.netloc}"):
                error = self.assertRaises(
                    RedirectRefused, self.location, f"{host}/downloads/x?token=t", own
                )
                self.assertEqual(error.status, 502)
                self.assertIn("show-address = yes", error.why)
                self.assertIn("redirect-paths = /downloads/", error.why)
                self.assertNotIn("token", error.why)
                self.assertNotIn(own.origin.host, error.message)
            ours = self.location("/v2/acme_team/app/manifests/1", own)
            self.assertEqual(ours, "/v2/team/app/manifests/1")

    def test_base_path(self) -> None:
        """With the base path or without, it is the API."""
        for base in ("/repo", ""):
            for host in ("", "https://nexus.example", "https://public.example"):
                ours = self.location(
                    f"{host}{base}/v2/acme_team/app/x/manifests/1", OWN_PATH
                )
                self.assertEqual(ours, "/v2/team/app/x/manifests/1")
                self.assertRaises(
                    UpstreamMalformed,
                    self.location,
                    f"{host}{base}/v2/other/manifests/1",
                    OWN_PATH,
                )

    def test_not_served(self) -> None:
        """A repository that is not served here is not shown."""
        for location in (
            "/v2/other/app/manifests/1",
            "https://registry.up.example/v2/other/app/manifests/1",
            "/v2/acme_team/app/unknown",
            "/v2/acme_team/../other/manifests/1",
        ):
            self.assertRaises(UpstreamMalformed, self.location, location)

    def test_no_other_host_made(self) -> None:
        """What is neither URL nor path is not glued to a host."""
        for location in (
            ".evil.example/x",
            "@evil.example/",
            "x",
            "?a",
            ":80/",
            "https:/x",
        ):
            self.assertRaises(UpstreamMalformed, self.location, location)


class OutsideTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Plain paths that nobody takes for the API."""
        for own, target in (
            (OWN, "/downloads/x?y=/v2/other"),
            (OWN, "/downloads/v2/x"),
            (OWN, "/v2x/y"),
            (OWN, "/a%2Bb/c;d=e/"),
            (OWN, "/"),
            (OWN_PATH, "/repo/downloads"),
        ):
            self.assertTrue(is_plainly_outside(target, own), target)

    def test_not_plain(self) -> None:
        """The API, and what a server may tidy up until it is."""
        for own, target in (
            (OWN, "/v2"),
            (OWN, "/v2/acme_team/app/blobs/x"),
            (OWN, "/V2/other/app/manifests/1"),
            (OWN, "/v2;a/other/app/manifests/1"),
            (OWN, "//v2/other/app/manifests/1"),
            (OWN, "/./v2/other/app/manifests/1"),
            (OWN, "/x/%2e%2E/v2/other/app/manifests/1"),
            (OWN, "/x/%252e%252E/v2/other/app/manifests/1"),
            (OWN, "/x/..;y/v2/other/app/manifests/1"),
            (OWN, "/%762/other/app/manifests/1"),
            (OWN, "/v2%2Fother/app/manifests/1"),
            (OWN, "/x\\..\\v2"),
            (OWN, "x"),
            (OWN, ""),
            (OWN_PATH, "/repo/V2/other/app/manifests/1"),
            (OWN_PATH, "/v2/other/app/manifests/1"),
            (OWN, "/v2/_catalog?last=other/app"),
            (OWN, "/v2/_oci/x"),
            (OWN, "/v2/acme_team/app/_oci/x"),
            (OWN_PATH, "/repo/v2/other/app/manifests/1"),
            (OWN_PATH, "/x/../repo//v2/other/app/manifests/1"),
        ):
            self.assertFalse(is_plainly_outside(target, own), target)


class LinkTests(SynchronousTestCase):
    def link(self, value: str, own: OwnAddress = OWN) -> str | None:
        return link(value, own, to_public)

    def test_pages(self) -> None:
        """The next page of tags and referrers is ours; parameters stay."""
        for host in HOSTS:
            for path in (
                "tags/list?last=acme_team%2b&n=2",
                f"referrers/{DIGEST}?artifactType=a%2Fb&next=x==",
            ):
                self.assertEqual(
                    self.link(f'<{host}/v2/acme_team/app/{path}>; rel="next"'),
                    f'</v2/team/app/{path}>; rel="next"',
                )

    def test_forms(self) -> None:
        """Relative to the path, and without ``< >``, as some registries write them."""
        here = "/v2/acme_team/app/tags/list?n=2"
        for value in (
            '<?last=b&n=2>; rel="next"',
            '<list?last=b&n=2>; rel="next"',
            '/v2/acme_team/app/tags/list?last=b&n=2; rel="next"',
            'https://up.test/v2/acme_team/app/tags/list?last=b&n=2; rel="next"',
        ):
            self.assertEqual(
                link(value, OWN, to_public, here),
                '</v2/team/app/tags/list?last=b&n=2>; rel="next"',
                value,
            )

    def test_catalog(self) -> None:
        """In the catalog ``last`` is a repository; in tags it is a tag."""
        for last in ("acme_team/app", "acme_team%2Fapp"):
            self.assertEqual(
                self.link(f'</v2/_catalog?last={last}&n=10>; rel="next"'),
                '</v2/_catalog?last=team/app&n=10>; rel="next"',
            )
        self.assertEqual(
            self.link('</v2/_catalog?n=10>; rel="next"'),
            '</v2/_catalog?n=10>; rel="next"',
        )
        self.assertIsNone(self.link('</v2/_catalog?last=other/app&n=10>; rel="next"'))

    def test_base_path(self) -> None:
        """A path before ``/v2`` goes, where it was not taken away before."""
        for base in ("/repo", ""):
            for path, ours in (
                ("acme_team/app/tags/list?last=1", "team/app/tags/list?last=1"),
                ("_catalog?last=acme_team/app", "_catalog?last=team/app"),
            ):
                self.assertEqual(
                    self.link(f"<{base}/v2/{path}>;rel=next", OWN_PATH),
                    f"</v2/{ours}>;rel=next",
                )

    def test_several(self) -> None:
        """Several links in one value are all mapped, or none is passed on."""
        self.assertEqual(
            self.link(
                '</v2/acme_team/app/tags/list?last=b>; rel="next", '
                '</v2/acme_team/app/tags/list>; rel="first"'
            ),
            '</v2/team/app/tags/list?last=b>; rel="next", '
            '</v2/team/app/tags/list>; rel="first"',
        )
        self.assertIsNone(
            self.link(
                '</v2/acme_team/app/tags/list?last=b>; rel="next", '
                '</v2/other/app/tags/list>; rel="first"'
            )
        )

    def test_led_elsewhere(self) -> None:
        """Nothing beside a link shows the upstream's addresses or names."""
        one = "</v2/acme_team/app/tags/list?last=b>"
        for more in (
            '; rel="next", https://up.test/v2/acme_team/app; rel="prev"',
            '; rel="next", /v2/other/app/tags/list; rel="prev"',
            '; rel="next"; anchor="/v2/acme_team/app"',
            "; rel=next;ANCHOR=x",
            '; rel="next https://up.test/x"',
            '; rel="next"; title="see https://up.test"',
            ' x; rel="next"',
            ';"' * 30_001,
            "; ;" * 20_000 + '"',
            " " * 60_000 + "x",
        ):
            self.assertIsNone(self.link(one + more), more[:60])
        for more in ('; rel="next"; title="a, b"', '; rel="next",', ";rel=next ; x"):
            self.assertEqual(
                self.link(one + more), f"</v2/team/app/tags/list?last=b>{more}"
            )

    def test_many_beginnings(self) -> None:
        """A link begins at the last "<" only, so many of them are read once."""
        one = "</v2/acme_team/app/tags/list>; rel=next"
        for value in ("<" * 60000, "<" * 60000 + ">", f"<x{one}", f"{one}<x<"):
            ours = self.link(value)
            self.assertNotIn("acme", ours or "")
            if not value.startswith(one):
                self.assertIsNone(ours)
        self.assertIsNone(LINK.match("<<>"))
        self.assertIsNone(LINK.match("<x<y>"))

    def test_dropped(self) -> None:
        """What is no link to anything served here is left out."""
        for value in (
            "",
            "</v2/acme_team/app/tags/list",
            "/v2/acme_team/app/tags/list",
            "x </v2/acme_team/app/tags/list>",
            '</v2/other/app/tags/list>; rel="next"',
            '<https://docs.example/help>; rel="help"',
            "<>",
        ):
            self.assertIsNone(self.link(value), value)


class SourceTests(SynchronousTestCase):
    """A client that has named a source is led back with it."""

    OWN = replace(OWN, source="docker.io")

    def test_ours(self) -> None:
        """At the end of the query, whose bytes stay."""
        for path, expected in (
            (f"blobs/uploads/x?{STATE}", f"blobs/uploads/x?{STATE}&ns=docker.io"),
            ("blobs/uploads/x", "blobs/uploads/x?ns=docker.io"),
        ):
            for host in HOSTS:
                location = f"{host}/v2/acme_team/app/{path}"
                for become in (upload_location, redirect_location):
                    ours = become(location, self.OWN, to_public)
                    self.assertEqual(ours, f"/v2/team/app/{expected}")
                self.assertEqual(
                    link(f'<{location}>; rel="next"', self.OWN, to_public),
                    f'</v2/team/app/{expected}>; rel="next"',
                )

    def test_not_ours(self) -> None:
        """What leads elsewhere is passed on byte for byte."""
        for location in (
            "https://storage.example/x?a=b",
            "//storage.example/x",
            "https://registry.up.example/downloads/x",
        ):
            ours = redirect_location(location, self.OWN, to_public)
            self.assertEqual(ours, location)
