"""A pod's token goes through the credential provider of the kubelet, and pulls."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from .accounts_case import ACCOUNTS, RIGHTS, BareRegistryTestCase
from .test_accounts import REFUSAL

ISSUER = "https://kubernetes.default.svc.cluster.local"

IDENTITY = """\
cluster[] = ${kubernetes.io.namespace}/**: pull

[identity cluster]
issuer = https://kubernetes.default.svc.cluster.local
audience = registry.example.com
jwks = %s
user = pod:${kubernetes.io.namespace}/${kubernetes.io.serviceaccount.name}
"""


class CredentialProviderTests(BareRegistryTestCase):
    """A cluster's keys are in a file; its tokens have the documented form."""

    def start_regbroker(self) -> None:
        """Start it with the keys of a cluster."""
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        key = {**public, "kid": "k1", "alg": "RS256", "use": "sig"}
        self.keys = self.directory / "jwks.json"
        self.keys.write_text(json.dumps({"keys": [key]}))
        super().start_regbroker()

    def sections(self, **lines: Any) -> str:
        """Pods beside people."""
        rights = RIGHTS + IDENTITY % self.keys
        accounts = ACCOUNTS.format(htpasswd=self.htpasswd.path, rights=rights)
        text = super().sections(accounts=accounts)
        return text.replace(
            "accounts = staff\n", "accounts = staff, cluster\naccess = staff\n"
        )

    def pod_token(self, namespace: str, audience: str = "registry.example.com") -> str:
        """What the API server issues for a pod."""
        now = int(time.time())
        claims = {
            "aud": [audience],
            "exp": now + 3600,
            "iat": now,
            "iss": ISSUER,
            "jti": "7c7a4a6c-6a2f-4a4c-8a4b-0f4b6b2f0d3e",
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": "5d4b"},
                "pod": {"name": "web-0", "uid": "8f3c"},
                "serviceaccount": {"name": "web", "uid": "14ee"},
            },
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:web",
        }
        text = jwt.encode(claims, self.key, "RS256", {"kid": "k1"})
        self.add_secret(text)
        return text

    def provide(self, image: str, token: str) -> dict[str, Any]:
        """What the kubelet gets from the program."""
        request = {
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "kind": "CredentialProviderRequest",
            "image": image,
            "serviceAccountToken": token,
        }
        done = subprocess.run(
            [sys.executable, "-m", "regbroker.cli.credential_provider"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def test_pull(self) -> None:
        """What the program answers logs in, and pulls what the namespace may pull."""
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1", "people/app:1")
        reference = f"{self.host}/team/app:1"
        auth = self.provide(f"{self.host}/team/app", self.pod_token("team"))["auth"]
        self.assertEqual(list(auth), [self.host])
        login = auth[self.host]
        skopeo = self.make_skopeo()
        self.assert_done(skopeo.login(self.host, login["username"], login["password"]))
        self.assertEqual(skopeo.digest_of(reference), image.digest)
        self.assert_refused(skopeo.list_tags(f"{self.host}/home/app"), REFUSAL)
        self.assert_refused(skopeo.push(image.source, reference), REFUSAL)
        self.regbroker.wait_for("user=pod:team/web")

    def test_another_audience(self) -> None:
        """A token that is for the API server is good for nothing here."""
        token = self.pod_token("team", "https://kubernetes.default.svc")
        auth = self.provide(f"{self.host}/team/app", token)["auth"]
        login = auth[self.host]
        skopeo = self.make_skopeo()
        refused = skopeo.login(self.host, login["username"], login["password"])
        self.assert_refused(refused, "invalid username/password")
        self.regbroker.wait_for("aud is .*and audience here is registry.example.com")
