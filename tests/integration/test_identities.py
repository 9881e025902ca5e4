"""Real issuers and real clients: JWTs as passwords, keys that change, outages."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt

from tests.issuers import (
    GITHUB_CLAIMS,
    GITLAB_CLAIMS,
    KUBERNETES_CLAIMS,
    jwk,
    rsa_key,
    token,
)

from .identity_case import (
    EXCHANGE,
    IDENTITY,
    JWT_TYPE,
    IdentityTestCase,
    OidcTestCase,
    private_jwk,
)
from .peers.https_client import bearer
from .peers.issuer_server import (
    GITHUB_KEYS,
    GITLAB_KEYS,
    KUBERNETES_KEYS,
    IssuerServer,
)
from .peers.processes import base_environment, poll, require_programs, run


class OidcProviderTests(OidcTestCase):
    """A certified issuer, and real clients."""

    def test_clients(self) -> None:
        """skopeo, podman, ctr and curl push, pull, and exchange."""
        job, image = self.job(), self.make_image()
        reference = f"{self.host}/team/acme/app/x:1"
        skopeo = self.make_skopeo()
        self.assert_done(skopeo.login(self.host, "oidc", job))
        self.assert_done(skopeo.push(image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), image.digest)
        beyond = skopeo.push(image.source, f"{self.host}/team/acme/other:1")
        self.assertNotEqual(beyond.status, 0)

        podman = self.make_podman()
        podman.trust(self.host)
        self.assert_done(podman.login(self.host, "oidc", job))
        self.assert_done(podman.pull(reference))
        self.assertEqual(podman.digest_of(reference), image.digest)

        containerd = self.start_containerd()
        containerd.trust(self.host)
        credentials = ("--user", f"oidc:{job}")
        local = self.import_image(containerd, image)
        pushed = f"{self.host}/team/acme/app/y:1"
        self.assert_done(containerd.push(pushed, local, *credentials))
        self.assert_done(containerd.pull(pushed, *credentials))

        scope = "repository:team/acme/app/x:pull"
        document = self.exchanged(job, scope)
        self.assertEqual(document["token_type"], "Bearer")
        target = "/v2/team/acme/app/x/tags/list"
        ours = bearer(document["access_token"])
        self.assertEqual(self.get(target, ours).status, 200)
        # As docker does it: a ping, a token with Basic, and the token.
        reply = self.https.get_token("/auth", "oidc", job, scope)
        self.assertEqual(self.get(target, bearer(reply.json()["token"])).status, 200)
        self.assertEqual(self.get(target, bearer(job)).status, 200)
        # And those with passwords are there as ever.
        alice = self.token("alice", scope)
        self.assertEqual(self.get(target, alice).status, 200)

    def exchanged(self, job: str, scope: str) -> Any:
        """What a token exchange with curl gives."""
        require_programs("curl")
        form = {
            "grant_type": EXCHANGE,
            "subject_token": job,
            "subject_token_type": JWT_TYPE,
            "scope": scope,
        }
        done = run(
            [
                *("curl", "--silent", "--fail", "--cacert", self.ca_file),
                *("--data", "@-", f"https://{self.host}/auth"),
            ],
            base_environment(self.directory),
            urlencode(form),
        )
        self.assert_done(done)
        return json.loads(done.stdout)

    def test_rotation(self) -> None:
        """Keys change in mid-run, and no client fails."""
        before = self.job()
        self.assertEqual(self.status(before), 200)
        self.issuer.stop()
        self.issuer.start(private_jwk("two", "two"), private_jwk("one", "one"))
        after = self.job()
        self.assertEqual(jwt.get_unverified_header(after)["kid"], "two")
        for text in (after, before, after):
            self.assertEqual(self.status(text), 200)


class DownAtStartTests(OidcTestCase):
    """The issuer is down when regbroker starts."""

    is_up = False

    def test_outages(self) -> None:
        """An issuer that is down at the start, comes, and goes again."""
        claims = {"iss": self.issuer.issuer, "sub": "x"}
        x, y = (token(claims, rsa_key(kid), "RS256", kid=kid) for kid in "xy")
        self.assertEqual(self.status(x), 503)
        self.issuer.start(private_jwk("one", "one"))
        job = self.job()
        poll(lambda: self.status(job) == 200, "the issuer's keys")
        self.assertEqual(self.status(x), 401)
        self.issuer.stop()
        self.assertEqual(self.status(job), 200)
        # Whether its key is one of the issuer's, nobody can tell.
        self.assertEqual(self.status(y), 503)
        self.assertEqual(self.status(job), 200)
        reload = self.regbroker.reload()
        self.assertIn("read again", reload)
        self.assertEqual(self.status(job), 200)


class DocumentedTests(IdentityTestCase):
    """Issuers that serve discovery and keys as GitHub, GitLab and Kubernetes do."""

    names = "github, gitlab, cluster"
    rights = """\
github[repository_id=74, event_name=push] = team/${repository}/**: pull, push
gitlab[ref_protected=true] = team/gl/${project_path}/**: pull, push
cluster[kubernetes.io.serviceaccount.name=kaniko] = team/**: pull
"""

    def start_registry(self, *arguments: Any, **named: Any) -> None:
        super().start_registry(*arguments, **named)
        inside = "10.0.0.1:6443"
        self.github = IssuerServer(self.authority, GITHUB_KEYS)
        self.gitlab = IssuerServer(self.authority, GITLAB_KEYS)
        self.cluster = IssuerServer(self.authority, KUBERNETES_KEYS, inside)
        for number, server in enumerate((self.github, self.gitlab, self.cluster)):
            self.addCleanup(server.stop)
            # All of them have a key with the same kid.
            server.keys = [jwk(rsa_key(str(number)), "same", alg="RS256")]

    def identities(self) -> str:
        return "".join(
            IDENTITY.format(
                name=name,
                issuer=server.issuer,
                audience="registry.test",
                ca_file=self.ca_file,
                more=more,
            )
            for name, server, more in (
                ("github", self.github, "user = gh:${repository}"),
                ("gitlab", self.gitlab, "user = gl:${project_path}"),
                ("cluster", self.cluster, f"jwks = {self.cluster.keys_url}"),
            )
        )

    def job(self, server: IssuerServer, number: int, claims: dict[str, Any]) -> str:
        """A token as it is documented."""
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 300}
        named = {"iss": server.issuer, "aud": ["registry.test"]}
        text = token(
            {**claims, **named, **times}, rsa_key(str(number)), "RS256", kid="same"
        )
        self.add_secret(text)
        return text

    def test_each(self) -> None:
        """Each gives what its rights say, and none has another one's key."""
        issuers: list[tuple[IssuerServer, dict[str, Any], str]] = [
            (self.github, dict(GITHUB_CLAIMS), "team/acme/app/x"),
            (self.gitlab, dict(GITLAB_CLAIMS), "team/gl/acme/app/x"),
            (self.cluster, dict(KUBERNETES_CLAIMS), "team/any"),
        ]
        for number, (server, claims, name) in enumerate(issuers):
            text = self.job(server, number, claims)
            scope = f"repository:{name}:pull,push"
            reply = self.https.get_token("/auth", "oidc", text, scope)
            granted = ["pull"] if server is self.cluster else ["pull", "push"]
            self.assertEqual(self.granted(reply), {f"repository:{name}": granted})
            other = self.job(server, (number + 1) % 3, claims)
            self.assertEqual(self.status(other), 401)
        # Of kids that nobody has, few are asked for.
        before = len(self.github.requests)
        for number in range(30):
            text = token(
                {"iss": self.github.issuer}, rsa_key("x"), "RS256", kid=str(number)
            )
            self.assertEqual(self.status(text), 401)
        self.assertLessEqual(len(self.github.requests) - before, 8)
        asked = set(self.cluster.requests)
        self.assertEqual(asked, {KUBERNETES_KEYS})


class UntrustedTests(IdentityTestCase):
    """The issuer has a certificate that nobody here vouches for."""

    def identities(self) -> str:
        self.server = IssuerServer(self.authority, GITHUB_KEYS)
        self.addCleanup(self.server.stop)
        self.server.keys = [jwk(rsa_key("0"), "same")]
        text = IDENTITY.format(
            name="ci",
            issuer=self.server.issuer,
            audience="a",
            ca_file=Path("/none"),
            more="",
        )
        return text.replace("ca-file = /none\n", "")

    def test_refused(self) -> None:
        """Its keys are not taken, and the log says why."""
        text = token({"iss": self.server.issuer}, rsa_key("0"), "RS256", kid="same")
        self.assertEqual(self.status(text), 503)
        self.assertEqual(self.server.requests, [])
        self.assertIn("no trusted TLS connection", self.regbroker.log())
