"""Uploads outside the API: carried in paths of ours, and nobody else's paths."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.sealing import Seal
from regbroker.errors import DigestInvalid, UploadUnknown, UpstreamMalformed
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.names import Endpoint, parse_path
from regbroker.protocol.origins import Origin
from regbroker.web.carried_uploads import MAX_TARGET_LENGTH, CarriedUploads

DIGEST = "sha256:" + "0a" * 32
SEAL = Seal(b"key")
UPLOADS = CarriedUploads(SEAL, "registry.test")
ORIGIN = Origin("https", "up.test", 443)
RULES = NameMapping([parse_rule("team = acme_team")], ["up"])
ROUTE = RULES.route("team/app")
TARGET = "/artifacts-uploads/namespaces/acme/uploads/AF2C?_state=a%2Fb+c&x"


class CarriedTests(SynchronousTestCase):
    def upload(self, target: str = TARGET) -> str:
        """Carry a target; return the id of the upload that it becomes."""
        path = UPLOADS.path(target, ROUTE, ORIGIN, "team/app")
        parsed = parse_path(path)
        self.assertIs(parsed.endpoint, Endpoint.UPLOAD)
        self.assertEqual(parsed.name, "team/app")
        self.assertNotIn("acme", path)
        assert parsed.reference is not None
        return parsed.reference

    def target(self, upload: str, query: str = "") -> str | None:
        """Return where an upload lies."""
        return UPLOADS.target(upload, query, ROUTE, ORIGIN)

    def test_back(self) -> None:
        """Every byte of the target comes back, on every machine with the key."""
        for target in (TARGET, "/x", "/x?", "/x?a=\xe9"):
            upload = self.upload(target)
            other = CarriedUploads(Seal(b"key"), "registry.test")
            for uploads in (UPLOADS, other):
                found = uploads.target(upload, "", ROUTE, ORIGIN)
                self.assertEqual(found, target.removesuffix("?"))

    def test_digest(self) -> None:
        """The client's digest is added, behind the state or alone, as it wrote it."""
        for target, join in ((TARGET, "&"), ("/x", "?")):
            upload = self.upload(target)
            for digest in (DIGEST, DIGEST.replace(":", "%3A"), "blake3:ab=="):
                self.assertEqual(
                    self.target(upload, f"digest={digest}"),
                    f"{target}{join}digest={digest}",
                )
            self.assertEqual(
                self.target(upload, "digest-algorithm=sha512"),
                f"{target}{join}digest-algorithm=sha512",
            )

    def test_nothing_else(self) -> None:
        """What else a client adds stays here."""
        upload = self.upload()
        query = f"mount={DIGEST}&from=secret/app&digest={DIGEST}&_state=x&&%66rom=a"
        self.assertEqual(self.target(upload, query), f"{TARGET}&digest={DIGEST}")

    def test_no_digest(self) -> None:
        """A digest that hides something is refused."""
        upload = self.upload()
        for query in (
            "digest=x",
            "digest=",
            "digest",
            f"digest={DIGEST};from=a",
            f"digest={DIGEST}%26from=a",
            f"digest={DIGEST}&digest={DIGEST}",
            "digest-algorithm=sha256;a",
            "digest-algorithm=",
        ):
            self.assertRaises(DigestInvalid, self.target, upload, query)

    def test_of_the_api(self) -> None:
        """Ids that are not ours are the upstream's own."""
        for upload in ("id", "6b3c9a93-af5d", "rb1.x", "rbu2.x"):
            self.assertIsNone(self.target(upload))

    def test_bound(self) -> None:
        """It opens for the registry, upstream and repository that it was made for."""
        upload = self.upload()
        for uploads, route, origin in (
            (CarriedUploads(SEAL, "other.test"), ROUTE, ORIGIN),
            (CarriedUploads(Seal(b"other"), "registry.test"), ROUTE, ORIGIN),
            (UPLOADS, RULES.route("team/other"), ORIGIN),
            (UPLOADS, replace(ROUTE, upstream="other"), ORIGIN),
            (UPLOADS, ROUTE, Origin("https", "evil.test", 443)),
        ):
            error = self.assertRaises(
                UploadUnknown, uploads.target, upload, "", route, origin
            )
            self.assertEqual((error.status, error.code), (404, "BLOB_UPLOAD_UNKNOWN"))

    def test_alias(self) -> None:
        """Whatever the client calls the repository, it is the same one."""
        alias = RULES.route("acme_team/app")
        found = UPLOADS.target(self.upload(), "", alias, ORIGIN)
        self.assertEqual(found, TARGET)

    def test_made_up(self) -> None:
        """Nobody else can write one, nor use what was sealed for another purpose."""
        text = '["registry.test", "up", "https://up.test", "acme_team/app", "/x"]'
        for sealed in ("", "x", "A" * 80, SEAL.seal("other", text), text):
            self.assertRaises(UploadUnknown, self.target, f"rbu1.{sealed}")

    def test_too_long(self) -> None:
        """What clients could not send back in a request is said to be too long."""
        self.upload("/" + "x" * (MAX_TARGET_LENGTH - 1))
        long = "/" + "x" * MAX_TARGET_LENGTH
        error = self.assertRaises(UpstreamMalformed, self.upload, long)
        self.assertIn("Location longer than 32768", error.message)
