"""The kubelet's credential provider, with the published forms of its API."""

import base64
import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.credential_provider import (
    API_VERSION,
    MARGIN,
    MAX_REQUEST_BYTES,
    NO_CREDENTIALS,
    NOT_UNDERSTOOD,
    USAGE,
    USER,
    Refused,
    main,
    respond,
)

NOW = 1_760_000_000.25


def segment(value: Any) -> str:
    """A part of a JWT: JSON in base64url."""
    text = json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token(**claims: Any) -> str:
    """A token as Kubernetes writes it for a pod, with the claims that differ."""
    given = {
        "aud": ["registry.example.com"],
        "exp": 1_760_003_600,
        "iat": 1_760_000_000,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": "7c7a4a6c-6a2f-4a4c-8a4b-0f4b6b2f0d3e",
        "kubernetes.io": {
            "namespace": "shop",
            "node": {"name": "node-1", "uid": "5d4b"},
            "pod": {"name": "web-0", "uid": "8f3c"},
            "serviceaccount": {"name": "web", "uid": "14ee"},
        },
        "nbf": 1_760_000_000,
        "sub": "system:serviceaccount:shop:web",
        **claims,
    }
    return f"{segment({'alg': 'RS256', 'kid': 'k'})}.{segment(given)}.c2lnbmF0dXJl"


def request(**fields: Any) -> dict[str, Any]:
    """The request of KEP-4412, with the fields that differ."""
    return {
        "kind": "CredentialProviderRequest",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "image": "registry.example.com/team/app",
        "serviceAccountToken": token(),
        "serviceAccountAnnotations": {"example.com/team": "shop"},
        **fields,
    }


class RespondTests(SynchronousTestCase):
    def respond(self, **fields: Any) -> dict[str, Any]:
        return respond(json.dumps(request(**fields)).encode(), NOW)

    def refused(self, data: bytes, now: float = NOW) -> tuple[int, str]:
        """Status and text of a refusal."""
        with self.assertRaises(Refused) as caught:
            respond(data, now)
        return caught.exception.status, str(caught.exception)

    def refused_with(self, **fields: Any) -> tuple[int, str]:
        return self.refused(json.dumps(request(**fields)).encode())

    def test_response(self) -> None:
        """The response is the published form, with the token as it is."""
        self.assertEqual(
            self.respond(),
            {
                "kind": "CredentialProviderResponse",
                "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
                "cacheKeyType": "Registry",
                "cacheDuration": "3569s",
                "auth": {
                    "registry.example.com": {"username": "oidc", "password": token()}
                },
            },
        )

    def test_hosts(self) -> None:
        """The key is the host of the image, with its port."""
        for image, host in (
            ("registry.example.com:8443/a/b:1.0", "registry.example.com:8443"),
            ("localhost/app", "localhost"),
            ("build:5000/app@sha256:" + "a" * 64, "build:5000"),
            ("[2001:db8::1]:443/app", "[2001:db8::1]:443"),
        ):
            self.assertEqual(list(self.respond(image=image)["auth"]), [host])

    def test_no_host(self) -> None:
        """An image of Docker Hub, or what is no image, has no registry of ours."""
        for image in ("nginx", "library/nginx", "", "a.example/", "*.example.com/app"):
            status, said = self.refused_with(image=image)
            self.assertEqual(status, NO_CREDENTIALS, image)
            self.assertIn("names no registry", said)

    def test_never_longer_than_the_token(self) -> None:
        """What is kept ends before the token does; what ends soon is not kept."""
        for left, kept in ((3600, 3570), (MARGIN + 1, 1), (MARGIN, 0), (1, 0)):
            reply = respond(
                json.dumps(request(serviceAccountToken=token(exp=2000))).encode(),
                2000.0 - left,
            )
            self.assertEqual(reply["cacheDuration"], f"{kept}s")

    def test_expired(self) -> None:
        """No credentials that are refused anyway."""
        for now in (1_760_003_600.0, 1_760_003_599.5, 1_860_000_000.0):
            status, said = self.refused(json.dumps(request()).encode(), now)
            self.assertEqual(status, NO_CREDENTIALS)
            self.assertIn("expired", said)

    def test_no_token(self) -> None:
        """A kubelet without tokenAttributes is told what to write."""
        for fields in ({"serviceAccountToken": ""}, {"serviceAccountToken": None}):
            given = request(**fields)
            if given["serviceAccountToken"] is None:
                del given["serviceAccountToken"]
            status, said = self.refused(json.dumps(given).encode())
            self.assertEqual(status, NO_CREDENTIALS)
            self.assertIn("serviceAccountTokenAudience", said)

    def test_no_jwt(self) -> None:
        """What is no JWT, or never ends, is refused, and not shown."""
        for text in (
            "SECRET",
            "SECRET.SECRET.SECRET",
            f"SECRET.{segment(['exp'])}.x",
            f"SECRET.{segment({})}.x",
            f"SECRET.{segment({'exp': True})}.x",
            f"SECRET.{segment({'exp': '1760003600'})}.x",
            f"SECRET.{segment({'exp': -1})}.x",
            f"SECRET.{segment({'exp': 1e300})}.x",
            f"SECRET.{segment({'exp': float('nan')})}.x",
            f"SECRET.{segment({'exp': float('inf')})}.x",
            "SECRET." + "[" * 4000 + ".x",
            "SECRET.é.x",
        ):
            status, said = self.refused_with(serviceAccountToken=text)
            self.assertEqual(status, NO_CREDENTIALS, text)
            self.assertRegex(said, "is no JWT|does not say when it expires", text)
            self.assertNotIn("SECRET", said)

    def test_versions(self) -> None:
        """Another version or kind is refused by name."""
        for fields in (
            {"apiVersion": "credentialprovider.kubelet.k8s.io/v1beta1"},
            {"apiVersion": "CredentialProvider.kubelet.k8s.io/v1"},
            {"apiVersion": None},
            {"kind": "CredentialProviderResponse"},
            {"kind": ["CredentialProviderRequest"]},
        ):
            status, said = self.refused_with(**fields)
            self.assertEqual(status, NOT_UNDERSTOOD)
            self.assertIn(f"the request's {next(iter(fields))} is ", said)

    def test_not_understood(self) -> None:
        """What is no request."""
        for data in (b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"null"):
            self.assertEqual(
                self.refused(data),
                (NOT_UNDERSTOOD, "the request on standard input is no JSON object"),
            )
        for fields in (
            {"image": 1},
            {"serviceAccountToken": {"token": "x"}},
            {"serviceAccountAnnotations": ["a"]},
            {"serviceAccountAnnotations": {"a": 1}},
        ):
            self.assertEqual(self.refused_with(**fields)[0], NOT_UNDERSTOOD)
        status, said = self.refused(b" " * (MAX_REQUEST_BYTES + 1))
        self.assertEqual(status, NOT_UNDERSTOOD)
        self.assertIn("larger", said)

    def test_annotations(self) -> None:
        """They may be missing, and nothing in them changes the answer."""
        for annotations in (None, {}, {"regbroker/user": "root"}):
            self.assertEqual(
                self.respond(serviceAccountAnnotations=annotations), self.respond()
            )


class ProgramTests(SynchronousTestCase):
    def run_main(self, data: bytes, *arguments: str) -> tuple[int, str, str]:
        """Exit status, output and errors of the program."""
        out, err = io.StringIO(), io.StringIO()
        stdin = io.TextIOWrapper(io.BytesIO(data))
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            patch.object(sys, "stdin", stdin),
        ):
            status = main(arguments, lambda: NOW)
        return status, out.getvalue(), err.getvalue()

    def test_answer(self) -> None:
        """One JSON document on standard output, and nothing beside it."""
        status, out, err = self.run_main(json.dumps(request()).encode())
        self.assertEqual((status, err), (0, ""))
        reply = json.loads(out)
        self.assertEqual(reply["apiVersion"], API_VERSION)
        self.assertEqual(reply["auth"]["registry.example.com"]["username"], USER)

    def test_refusal(self) -> None:
        """One line for people on standard error; no terminal obeys it."""
        given = request(image="\x1b[2J\n")
        status, out, err = self.run_main(json.dumps(given).encode())
        self.assertEqual((status, out), (NO_CREDENTIALS, ""))
        self.assertEqual(err.count("\n"), 1)
        self.assertIn(r"'\x1b[2J\n'", err)
        self.assertNotIn(token(), err)

    def test_arguments(self) -> None:
        """There are none; somebody who tries it out is told what it is."""
        status, out, err = self.run_main(b"", "--user=x")
        self.assertEqual((status, out), (USAGE, ""))
        self.assertIn("usage:", err)
        status, out, err = self.run_main(b"", "--help")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("usage:", out)

    def test_standard_library_alone(self) -> None:
        """It starts at each pull: nothing that takes long is loaded."""
        program = (
            "import sys\n"
            "before = set(sys.modules)\n"
            "import regbroker.cli.credential_provider\n"
            "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
            "print(sorted(new - set(sys.stdlib_module_names) - {'regbroker'}))\n"
            "heavy = {'argparse', 'asyncio', 'logging', 'socket', 'ssl', 'typing'}\n"
            "print(sorted(heavy & new))\n"
            "print(sorted(n for n in sys.modules if n.startswith('regbroker')))\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        self.assertEqual(
            said,
            [
                "[]",
                "[]",
                "['regbroker', 'regbroker.cli', 'regbroker.cli.credential_provider']",
            ],
        )
