"""The file of the keys that sign tokens."""

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import make_key, parse_keys, thumbprint
from regbroker.errors import StateError

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key as it should be."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(
    key: Key,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    password: bytes | None = None,
) -> bytes:
    """A private key as it stands in a file."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A public key as it stands in a file."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


ONE, TWO = new_key(), new_key()


def prints(contents: bytes) -> list[str]:
    """The thumbprints of the keys in a file."""
    return [thumbprint(key.public_key()) for key in parse_keys(contents)]


class ParseKeysTests(SynchronousTestCase):
    def wrong(self, contents: bytes) -> str:
        """What is said to be wrong with a file."""
        return str(self.assertRaises(ValueError, parse_keys, contents))

    def test_several(self) -> None:
        """The keys come in the order of the file, whatever stands around them."""
        sec1 = serialization.PrivateFormat.TraditionalOpenSSL
        both = [thumbprint(ONE.public_key()), thumbprint(TWO.public_key())]
        parameters = (
            b"-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n"
        )
        for contents in (
            pem(ONE) + pem(TWO),
            b"# of May\n" + pem(ONE) + b"\n\n# of April\n" + pem(TWO).strip(),
            parameters + pem(ONE, sec1) + parameters + pem(TWO, sec1),
            (pem(ONE) + pem(TWO)).replace(b"\n", b"\r\n"),
        ):
            self.assertEqual(prints(contents), both)

    def test_not_complete(self) -> None:
        """A file that somebody is writing has not lost a key."""
        for contents in (
            pem(ONE) + pem(TWO)[:-30],
            pem(ONE)[:-30] + pem(TWO),
            pem(ONE)[:40] + pem(TWO),
        ):
            self.assertIn("is the file complete", self.wrong(contents))

    def test_wrong(self) -> None:
        """What is no P-256 private key is named."""
        for contents, problem in (
            (b"", "no PEM private key in it"),
            (b"\xff\0", "no PEM private key in it"),
            (public_pem(ONE), "it holds a public key; private keys belong here"),
            (pem(ONE) + public_pem(TWO), "it holds a public key; private keys be"),
            (pem(ONE, password=b"secret"), "a key is encrypted; give one without"),
            (
                pem(ec.generate_private_key(ec.SECP384R1())),
                "a key is of another kind; P-256 is right",
            ),
            (
                pem(ed25519.Ed25519PrivateKey.generate()),
                "a key is of another kind; P-256 is right",
            ),
            (pem(ONE).replace(b"M", b"!"), "a key cannot be read"),
        ):
            self.assertTrue(self.wrong(contents).startswith(problem), problem)

    @given(st.integers(0, 400), st.binary(max_size=8))
    def test_damaged(self, place: int, damage: bytes) -> None:
        """However a file is damaged, it is keys or `ValueError` without secrets."""
        good = pem(ONE) + pem(TWO)
        contents = good[:place] + damage + good[place + len(damage) :]
        secret = good.splitlines()[1].decode()
        try:
            parse_keys(contents)
        except ValueError as error:
            self.assertNotIn(secret[10:20], str(error))


class ThumbprintTests(SynchronousTestCase):
    def test_specification(self) -> None:
        """RFC 9449 section 6.1 has a P-256 key and its RFC 7638 thumbprint."""
        numbers = ec.EllipticCurvePublicNumbers(
            _number("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"),
            _number("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"),
            ec.SECP256R1(),
        )
        self.assertEqual(
            thumbprint(numbers.public_key()),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        )


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "="), "big")


class MakeKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()) / "var"

    def test_made(self) -> None:
        """A key is made for its owner only, with nothing beside it."""
        path = make_key(self.directory)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(list(self.directory.iterdir()), [path])
        self.assertEqual(path.name, "token-key.pem")
        self.assertEqual(len(parse_keys(path.read_bytes())), 1)

    def test_kept(self) -> None:
        """A key that is there is used, whatever it is."""
        path = make_key(self.directory)
        path.write_bytes(b"anything")
        self.assertEqual(make_key(self.directory), path)
        self.assertEqual(path.read_bytes(), b"anything")

    def test_at_once(self) -> None:
        """Of several that make it at once, all have the same in the end."""
        with ThreadPoolExecutor(8) as pool:
            made = list(
                pool.map(lambda _: make_key(self.directory).read_bytes(), range(32))
            )
        self.assertEqual(len(set(made)), 1)
        self.assertEqual(len(list(self.directory.iterdir())), 1)

    def test_impossible(self) -> None:
        """A place that cannot be used is named, with the reason."""
        self.directory.parent.mkdir()
        self.directory.write_bytes(b"")
        error = self.assertRaises(StateError, make_key, self.directory)
        self.assertEqual(
            str(error),
            f"[regbroker] state-directory: {self.directory}: File exists; name "
            "a directory that the user that regbroker runs as may write to; the key "
            "that signs tokens is kept there",
        )

    def test_disk_full(self) -> None:
        """What cannot be written whole does not appear, and leaves nothing."""

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        self.assertRaises(StateError, make_key, self.directory)
        self.assertEqual(list(self.directory.iterdir()), [])
