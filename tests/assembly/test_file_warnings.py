"""Warnings about the files that a configuration names."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.loading import load_config, warnings_about
from tests.accounts.hashes import BCRYPT, SHA1
from tests.certificates import authority, issued
from tests.integration.peers.certificates import Authority

TEXT = """
[regbroker]
listen = {listen}
[registry a.test]
upstream = up
namespaces = * = *
{registry}
[upstream up]
url = https://up.test
{upstream}
[tls]
certificate = first.pem
key = first.key
{more}
"""


class FileWarningsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        issued("a.test").write(self.directory, "first")

    def warned(self, listen: str = "tls:0", **parts: str) -> list[str]:
        """The warnings, with these parts in the file."""
        filled = {"registry": "", "upstream": "", "more": ""} | parts
        path = self.directory / "regbroker.ini"
        path.write_text(TEXT.format(listen=listen, **filled))
        return list(warnings_about(load_config(path)))

    def test_nothing(self) -> None:
        """A certificate for the registry's host has no warning."""
        self.assertEqual(self.warned(), [])

    def test_expired(self) -> None:
        """A certificate that has expired is served, with a warning."""
        issued("a.test", days=-2).write(self.directory, "first")
        (line,) = self.warned()
        self.assertTrue(line.startswith("[tls] certificate: "), line)
        self.assertIn("it has expired on ", line)

    def test_wrong_name(self) -> None:
        """A host that no certificate is for, and a certificate for another host."""
        issued("b.test").write(self.directory, "first")
        (line,) = self.warned()
        self.assertEqual(
            line,
            "[registry a.test]: no certificate is for a.test; clients see that of "
            "[tls], for b.test, and refuse it; write [tls a.test]",
        )
        self.assertEqual(self.warned(registry="public-url = https://x.test"), [])
        more = "[tls a.test]\ncertificate = first.pem\nkey = first.key"
        (line,) = self.warned(more=more)
        self.assertIn("[tls a.test] certificate: ", line)
        self.assertIn("it is not for a.test, but for b.test", line)
        issued("*.test").write(self.directory, "second")
        more = "[tls *.test]\ncertificate = second.pem\nkey = second.key"
        self.assertEqual(self.warned(more=more), [])

    def test_mirror(self) -> None:
        """A registry that clients reach by ``ns`` may have a name of nobody's."""
        issued("mirror.test").write(self.directory, "first")
        mirror = "tls:0\nns = docker.io = a.test"
        self.assertEqual(self.warned(listen=mirror), [])
        self.assertEqual(len(self.warned()), 1)

    def test_ca_file(self) -> None:
        """CA certificates of which none is valid any more."""
        good, bad = authority().certificate, issued("x.test", days=-2).certificate
        for data, expected in ((good, 0), (bad, 1), (bad + good, 0)):
            (self.directory / "ca.pem").write_bytes(data)
            found = self.warned(upstream="ca-file = ca.pem")
            self.assertEqual(len(found), expected, found)
            if found:
                self.assertTrue(found[0].startswith("[upstream up] ca-file: "))

    def test_client_certificate(self) -> None:
        """A client certificate that is over; one that may stay as it is."""
        for days, expected in ((90, 0), (-2, 1)):
            issued("regbroker", days=days).write(self.directory, "client")
            options = "client-certificate = client.pem\nclient-key = client.key"
            found = self.warned(upstream=options)
            self.assertEqual(len(found), expected, found)
            for line in found:
                self.assertIn("[upstream up] client-certificate: ", line)
                self.assertIn("it has expired on ", line)

    def test_server_certificate(self) -> None:
        """A certificate that is for servers alone does not work for a client."""
        options = "client-certificate = client.crt\nclient-key = client.key"
        for pair, expected in (
            (Authority("ca").issue("regbroker"), 1),
            (Authority("ca").issue_client("regbroker"), 0),
        ):
            pair.write(self.directory, "client")
            found = [line for line in self.warned(upstream=options) if "Auth" in line]
            self.assertEqual(len(found), expected, found)

    def test_htpasswd(self) -> None:
        """What htpasswd files have to be warned of."""
        (self.directory / "users").write_text(f"a:{BCRYPT}\nb:{SHA1}\n")
        (line,) = self.warned(
            registry="accounts = own",
            more="[accounts own]\nhtpasswd = users\n[access own]\na = **: pull",
        )
        self.assertTrue(line.startswith("[accounts own] htpasswd: "), line)
        self.assertIn("for 'b' it holds SHA-1", line)

    def test_revoked_tokens(self) -> None:
        """Lines that revoke nothing are named, and not what stands there."""
        path = self.directory / "revoked"
        local = {
            "listen": "tls:0\nrevoked-tokens = revoked",
            "registry": "accounts = own\nrobot-tokens = yes",
            "more": "[accounts own]\nhtpasswd = users\n[access own]\na = **: pull",
        }
        (self.directory / "users").write_text(f"a:{BCRYPT}\n")
        path.write_text("id-1  # stolen\n- id-2\nid-3\nrbrobot_s3cret\n")
        (line,) = self.warned(**local)
        self.assertEqual(
            line,
            f"[regbroker] revoked-tokens: {path}: lines 2, 4: nothing is revoked "
            "there; write the id of a token at the beginning of a line, "
            "and a # before a comment",
        )
        path.write_text("# none yet\n\nid-1\n")
        self.assertEqual(self.warned(**local), [])

    def test_program(self) -> None:
        """A helper that lies in PATH and cannot be run."""
        helper = self.directory / "docker-credential-own"
        helper.write_text("#!/bin/sh\n")
        path = f"{self.directory}"
        import os

        self.patch(os, "environ", os.environ | {"PATH": path})
        account = {
            "registry": "anonymous = shared",
            "upstream": "credential-helper = own",
        }
        (line,) = self.warned(**account)
        self.assertIn(f"credential-helper: {helper} cannot be run; ", line)
        self.assertIn(f"chmod +x {helper}", line)
        helper.chmod(0o755)
        self.assertEqual(self.warned(**account), [])
