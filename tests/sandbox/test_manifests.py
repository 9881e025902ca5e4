"""What is understood of a manifest."""

import json

from twisted.trial.unittest import SynchronousTestCase

from regbroker.sandbox.manifests import parse_manifest
from regbroker.sandbox.refusals import ManifestInvalid

DIGESTS = [f"sha256:{digit * 64}" for digit in "123"]


class ManifestTests(SynchronousTestCase):
    def test_references(self) -> None:
        """What must be there, what need not, and what referrers are told."""
        config, layer, subject = ({"digest": digest} for digest in DIGESTS)
        foreign = {"digest": DIGESTS[2], "mediaType": "x.nondistributable.y"}
        body = json.dumps(
            {
                "config": {**config, "mediaType": "test/config"},
                "layers": [layer, foreign],
                "manifests": [subject],
                "subject": subject,
            }
        ).encode()
        manifest = parse_manifest("sha256:a", body, "test/type")
        self.assertEqual(manifest.blobs, tuple(DIGESTS[:2]))
        self.assertEqual(manifest.manifests, (DIGESTS[2],))
        self.assertEqual(manifest.subject, DIGESTS[2])
        self.assertEqual(
            manifest.descriptor,
            {
                "mediaType": "test/type",
                "digest": "sha256:a",
                "size": len(body),
                "artifactType": "test/config",
            },
        )

    def test_not_manifests(self) -> None:
        """What cannot be understood is refused, whatever shape it has."""
        for body in (
            b"",
            b"[]",
            b"{}",
            b"[" * 100_000,
            b'{"mediaType": "a\\nb"}',
            b'{"mediaType": 1}',
            b'{"mediaType": "a/b", "config": 1}',
            b'{"mediaType": "a/b", "layers": {}}',
            b'{"mediaType": "a/b", "layers": [1]}',
            b'{"mediaType": "a/b", "layers": [{}]}',
            b'{"mediaType": "a/b", "layers": [{"digest": "sha256:../.."}]}',
            b'{"mediaType": "a/b", "signatures": []}',
        ):
            with self.assertRaises(ManifestInvalid):
                parse_manifest(DIGESTS[0], body, None)
        with self.assertRaises(ManifestInvalid):
            parse_manifest("sha256:0", b'{"mediaType": "a/b"}', "c/d")
