"""What of a client's query goes upstream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest, ClientError, DigestInvalid, TagInvalid
from regbroker.protocol.names import METHODS, Endpoint
from regbroker.protocol.queries import Query
from regbroker.protocol.query_table import TABLE, entry_for, upstream_query
from tests.grammar import EXAMPLES, hostile

SHA256 = "sha256:" + "a1" * 32
SHA512 = "sha512:" + "b2" * 64
BLAKE3 = "blake3:" + "c3" * 32
MOUNT = f"mount={SHA256}&from=own/repo"
READS = (Endpoint.MANIFEST, Endpoint.BLOB)
STATE = "_state=a%2Bb%2fc==&&x=%20+&y"

#: A mount that is none, or not one only.
NO_MOUNTS = (
    f"mount={SHA256}",
    f"mount={SHA256}&From=own/repo",
    f"mount={SHA256}&from%00=own/repo",
    f"mount={SHA256}&from=",
    f"mount={SHA256}&from=own/repo&from=other",
    f"mount={SHA256}&{MOUNT}",
    "mount=&from=own/repo",
    "mount=nothing&from=own/repo",
    f"mount={SHA256}%23&from=own/repo",
    f"mount={SHA256}&from=Own/Repo",
    f"mount={SHA256}&from=own/repo%00",
    f"MOUNT={SHA256}&from=own/repo",
    f"mount[]={SHA256}&from[]=own/repo",
    "from=own/repo",
)


def sent(endpoint: Endpoint, method: str, query: str) -> str:
    """What goes upstream of a query."""
    return str(upstream_query(endpoint, method, Query(query)))


class StartTests(SynchronousTestCase):
    """POST of an upload."""

    def sent(self, query: str) -> str:
        """What goes upstream."""
        return sent(Endpoint.UPLOADS, "POST", query)

    def test_known(self) -> None:
        """What the specification has goes up, as it was written."""
        for query in (
            MOUNT,
            f"from=own/repo&mount={SHA512.replace(':', '%3A')}",
            f"mount={BLAKE3}&from=own%2Frepo",
            f"%6dount={SHA256}&from=own/repo",
            f"digest={SHA256}",
            f"digest={BLAKE3}",
            "digest-algorithm=sha512",
            "digest-algorithm=blake3",
            f"digest-algorithm=sha512&{MOUNT}",
        ):
            self.assertEqual(self.sent(query), query)

    def test_no_mount(self) -> None:
        """What is no mount of one thing from one place is an ordinary upload."""
        for query in NO_MOUNTS:
            self.assertEqual(self.sent(query), "", query)
            again = self.sent(f"digest={SHA256}&{query}")
            self.assertEqual(again, f"digest={SHA256}", query)

    def test_unknown(self) -> None:
        """What is not known is dropped."""
        for query in ("a=1", "resumable", "&&", "=", "_state=x", "name=other/repo"):
            self.assertEqual(self.sent(f"{query}&{MOUNT}&{query}"), MOUNT)

    def test_refused(self) -> None:
        """What is known and wrong is refused, and so is what hides a name."""
        for query, error in (
            ("digest=x", DigestInvalid),
            ("digest=", DigestInvalid),
            (f"digest={SHA256}&digest={SHA512}", BadRequest),
            ("digest-algorithm=", BadRequest),
            ("digest-algorithm=SHA512", BadRequest),
            ("digest-algorithm=sha512&digest-algorithm=sha256", BadRequest),
            (f"mount={SHA256};from=own/repo", BadRequest),
            ("a;from=own/repo", BadRequest),
        ):
            self.assertRaises(error, self.sent, query)


class StateTests(SynchronousTestCase):
    """Requests of an upload that has begun."""

    METHODS = ("GET", "HEAD", "PATCH", "PUT", "DELETE")

    def test_state(self) -> None:
        """The upstream's state is its own, to the last byte."""
        for method in self.METHODS:
            for query in (
                STATE,
                f"{STATE}&digest={SHA512}",
                f"digest={BLAKE3}&{STATE}",
                "_state=a;b",
                "fromage=1&amount=2&mounted&from_date",
                "part=1&uploadId=%00",
            ):
                self.assertEqual(sent(Endpoint.UPLOAD, method, query), query)

    def test_no_mount(self) -> None:
        """A mount is never begun there, however it is written."""
        for method in self.METHODS:
            for query in (
                *NO_MOUNTS,
                MOUNT,
                f"%6Dount={SHA256}&fro%6d=own/repo",
                f"+mount={SHA256}&%0Afrom=own/repo",
                f"mount%20={SHA256}&from.=own/repo",
                f"mount[0]={SHA256}&from[x]=own/repo",
                f"$mount={SHA256}&FROM=own/repo",
                "mount&from",
            ):
                found = sent(Endpoint.UPLOAD, method, f"{query}&{STATE}")
                self.assertEqual(found, STATE, query)

    def test_long(self) -> None:
        """A name of whatever length is read once."""
        for name in (f"a{'1' * 60_000}a", f"{'1' * 60_000}mounted", "[" * 60_000):
            self.assertEqual(sent(Endpoint.UPLOAD, "PATCH", name), name)
        for name in (f"{'1' * 60_000}from{'[' * 60_000}", f"mount{'1' * 60_000}[a]"):
            self.assertEqual(sent(Endpoint.UPLOAD, "PATCH", f"{name}&{STATE}"), STATE)

    def test_no_mount_behind_a_semicolon(self) -> None:
        """Nor behind what some servers take for "&"."""
        for query in (
            f"_state=a;mount={SHA256};from=own/repo",
            "_state=a;from=own/repo",
            "_state;%66rom=own/repo",
            f";mount={SHA256}",
        ):
            for method in self.METHODS:
                self.assertRaises(
                    BadRequest, sent, Endpoint.UPLOAD, method, f"{query}&{STATE}"
                )

    def test_digest(self) -> None:
        """The last request names one digest."""
        for query, error in (
            ("digest=x", DigestInvalid),
            (f"digest={SHA256}&{STATE}&digest={SHA256}", BadRequest),
        ):
            self.assertRaises(error, sent, Endpoint.UPLOAD, "PUT", query)


class ReadTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Manifests and blobs have no query to read or to delete them."""
        for endpoint in READS:
            for method in ("GET", "HEAD", "DELETE"):
                for query in ("a=1", "tag=x", MOUNT, "&", STATE):
                    self.assertEqual(sent(endpoint, method, query), "")
        self.assertEqual(sent(Endpoint.BASE, "GET", "a=1"), "")

    def test_tags(self) -> None:
        """A manifest may be given tags, and nothing else."""
        self.assertEqual(
            sent(Endpoint.MANIFEST, "PUT", "tag=a&x=1&tag=b"), "tag=a&tag=b"
        )
        for tag in ("", "-", "a/b", "a;b"):
            self.assertRaises(
                TagInvalid, sent, Endpoint.MANIFEST, "PUT", f"tag=a&tag={tag}"
            )

    def test_paging(self) -> None:
        """Lists are paged as the upstream does it."""
        for endpoint in (Endpoint.TAGS, Endpoint.REFERRERS):
            for query in ("n=1&last=b", "next_page=a%2Bb==&n=5", "offset=100", STATE):
                self.assertEqual(sent(endpoint, "GET", query), query)
            for query in ("n=1&n=2", "last=a&n=1&%6cast=b"):
                self.assertRaises(BadRequest, sent, endpoint, "GET", query)
        query = "artifactType=a%2Fb&artifactType=c/d"
        self.assertEqual(sent(Endpoint.REFERRERS, "GET", query), query)

    def test_catalog(self) -> None:
        """The catalog is read here; what it knows comes once."""
        self.assertRaises(BadRequest, sent, Endpoint.CATALOG, "GET", "n=1&n=2")
        self.assertEqual(sent(Endpoint.CATALOG, "GET", "n=1&last=a"), "n=1&last=a")


class TableTests(SynchronousTestCase):
    def test_every_endpoint(self) -> None:
        """Something is said of each method of each endpoint."""
        for endpoint, methods in METHODS.items():
            for method in methods:
                self.assertIn(entry_for(endpoint, method), TABLE)

    @EXAMPLES
    @given(st.lists(hostile | st.sampled_from(("&mount=", "&from=a", ";")), max_size=5))
    def test_nothing_made_up(self, parts: list[str]) -> None:
        """What goes up came in, piece by piece and in order."""
        text = "".join(parts)
        for endpoint, methods in METHODS.items():
            for method in methods:
                try:
                    found = sent(endpoint, method, text)
                except ClientError:
                    continue
                pieces = iter(text.split("&"))
                kept = found.split("&") if found else []
                self.assertTrue(all(piece in pieces for piece in kept))
