"""Files with claims."""

import json
from codecs import BOM_UTF8
from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.claimed import MAX_CLAIMS_BYTES, NoClaims, identity_of, read_claims
from regbroker.settings.ini import parse_config
from tests.assembly.test_rights_report import CONFIG


class ClaimedTests(SynchronousTestCase):
    def setUp(self) -> None:
        text = CONFIG.format(tests="tests", registry="")
        self.config = parse_config(text, PurePath("/"), lambda path: None)
        self.path = Path(self.mktemp())

    def write(self, value: object) -> str:
        self.path.write_text(json.dumps(value))
        return str(self.path)

    def test_read(self) -> None:
        """The claims are those of the file."""
        claims = {"iss": "https://a.example", "n": [1]}
        self.assertEqual(read_claims(self.write(claims)), claims)
        self.path.write_bytes(BOM_UTF8 + self.path.read_bytes())
        self.assertEqual(read_claims(str(self.path)), claims)

    def test_identity(self) -> None:
        """The issuer picks the section, byte for byte."""
        (registry,) = self.config.registries
        issuer = "https://token.actions.githubusercontent.com"
        identity = identity_of(self.config, registry, {"iss": issuer})
        self.assertEqual(identity.name, "github")
        for other in (f"{issuer}/", None, [issuer], "x" * 100_000):
            with self.assertRaises(NoClaims) as caught:
                identity_of(self.config, registry, {"iss": other})
            self.assertIn(f"are: {issuer}", str(caught.exception))
            self.assertLess(len(str(caught.exception)), 1000)

    def test_no_file(self) -> None:
        """A directory, or a file that is too large, is no file of claims."""
        self.path.mkdir()
        with self.assertRaisesRegex(NoClaims, "no regular file; write the claims"):
            read_claims(str(self.path))
        self.path.rmdir()
        self.path.write_bytes(b" " * (MAX_CLAIMS_BYTES + 1))
        with self.assertRaisesRegex(NoClaims, "larger than"):
            read_claims(str(self.path))

    def test_no_claims(self) -> None:
        """What is no JSON object is said to be so."""
        self.assertRaises(NoClaims, read_claims, str(self.path))
        odd: list[object] = [[], "x", None]
        for value in odd:
            self.assertRaises(NoClaims, read_claims, self.write(value))
        for text in ("[" * 50_000, '{"ref": "a", "ref": "b"}', '{"exp": NaN}'):
            self.path.write_text(text)
            self.assertRaises(NoClaims, read_claims, str(self.path))
