"""Certificates and keys out of files, and what else such files may be."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from regbroker.transport.certificates.pem_files import (
    WrongCertificate,
    WrongKey,
    load_chain,
    load_key,
    load_pair,
)
from tests.certificates import authority, issued


class PemFilesTests(SynchronousTestCase):
    def test_pair(self) -> None:
        """A chain in its order, and the key of its first certificate."""
        good = issued("a.test")
        chain, key = load_pair(good.certificate + authority().certificate, good.key)
        self.assertEqual(chain, [good.loaded(), authority().loaded()])
        self.assertEqual(key.public_key(), good.loaded().public_key())

    def test_old_authority(self) -> None:
        """The system's bundle has CAs with odd serial numbers; nobody is told."""
        if shutil.which("openssl") is None:
            raise SkipTest("openssl is not installed")
        made = subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
                *("-keyout", os.devnull, "-subj", "/CN=old", "-set_serial", "0"),
            ],
            capture_output=True,
            check=True,
        )
        self.assertEqual(len(load_chain(made.stdout)), 1)
        self.assertEqual(self.flushWarnings(), [])

    def test_combined(self) -> None:
        """One file may hold both."""
        good = issued("a.test")
        both = good.key + good.certificate
        self.assertEqual(load_pair(both, both)[0], [good.loaded()])

    def test_swapped(self) -> None:
        """Two files that stand in each other's place are told as that."""
        good = issued("a.test")
        with self.assertRaisesRegex(WrongCertificate, "swap the two lines"):
            load_pair(good.key, good.certificate)
        # To swap them would not help here.
        with self.assertRaises(WrongKey):
            load_pair(good.certificate, good.certificate)
        with self.assertRaises(WrongCertificate) as caught:
            load_pair(good.key, good.key)
        self.assertNotIn("swap", str(caught.exception))

    def test_order(self) -> None:
        """The key's certificate comes first."""
        good = issued("a.test")
        with self.assertRaisesRegex(WrongCertificate, "certificate 2 of the file"):
            load_pair(authority().certificate + good.certificate, good.key)
        with self.assertRaisesRegex(WrongKey, "does not belong"):
            load_pair(authority().certificate, good.key)

    def test_another_kind(self) -> None:
        """A key that cannot belong to the certificate is told by its kind."""
        good, rsa = issued("a.test"), issued("rsa.test", kind="rsa")
        for certificate, key, words in (
            (good, rsa, "certificate: it is RSA, and .* is for EC .secp256r1.$"),
            (rsa, good, "certificate: it is EC .secp256r1., and .* is for RSA$"),
            (good, issued("b.test"), "belong to the certificate$"),
        ):
            with self.assertRaisesRegex(WrongKey, words):
                load_pair(certificate.certificate, key.key)

    def test_commands_convert(self) -> None:
        """The commands that errors give make files that can be used."""
        good = issued("a.test")
        directory = Path(self.mktemp())
        directory.mkdir()
        certificate, key = good.loaded(), good.private()
        plain = serialization.NoEncryption()
        for name, data, converted in (
            (
                "a.der",
                certificate.public_bytes(serialization.Encoding.DER),
                "a.der.pem",
            ),
            (
                "a.p12",
                pkcs12.serialize_key_and_certificates(
                    None, key, certificate, None, plain
                ),
                "certificate.pem",
            ),
        ):
            (directory / name).write_bytes(data)
            with self.assertRaises(WrongCertificate) as caught:
                load_chain(data, name)
            command = str(caught.exception).split("convert it: ")[1]
            subprocess.run(
                command.replace("pkcs12", "pkcs12 -passin pass:"),
                shell=True,
                cwd=directory,
                check=True,
                capture_output=True,
            )
            made = (directory / converted).read_bytes()
            self.assertEqual(load_chain(made), [certificate])
        made = (directory / "key.pem").read_bytes()
        self.assertEqual(load_key(made).private_numbers(), key.private_numbers())

    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """Whatever the bytes, there is an error of ours."""
        for begin in (b"", b"\x30\x82", b"-----BEGIN CERTIFICATE-----\n"):
            self.assertRaises(WrongCertificate, load_chain, begin + data)
            self.assertRaises(WrongKey, load_key, begin + data)
