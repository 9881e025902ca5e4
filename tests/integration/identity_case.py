"""What the tests of identities have in common: a registry, and jobs with JWTs."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jwt

from tests.issuers import GITHUB_CLAIMS, jwk, rsa_key, token

from .accounts_case import ACCOUNTS, RIGHTS, BareRegistryTestCase
from .peers.https_client import Reply, basic
from .peers.issuer_server import GITHUB_KEYS, IssuerServer
from .peers.oidc_provider import OidcProvider

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"

AUDIENCE = "https://registry.example.com"

IDENTITY = """\
[identity {name}]
issuer = {issuer}
audience = {audience}
ca-file = {ca_file}
{more}

"""

JOBS = """\
ci[repository_owner=acme, ref=refs/heads/main] = team/${repository}/**: pull, push
ci[repository_owner=acme] = team/base/**: pull
"""

#: A job on the main branch, and one that may not push.
MAIN = {
    "repository": "acme/app",
    "repository_owner": "acme",
    "ref": "refs/heads/main",
}
FEATURE = {**MAIN, "ref": "refs/heads/feature"}


def private_jwk(name: str, kid: str) -> dict[str, Any]:
    """A private key as the issuer wants it."""
    entry: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(
        rsa_key(name), as_dict=True
    )
    entry.pop("key_ops", None)
    return {**entry, "kid": kid, "alg": "RS256", "use": "sig"}


class IdentityTestCase(BareRegistryTestCase):
    """Passwords and identities side by side in one registry."""

    #: Rights of identities, and the names of their sections.
    rights = JOBS
    names = "ci"

    #: Who signs the tokens, where it is one.
    issuer: Any

    def identities(self) -> str:
        """The sections of identities."""
        return IDENTITY.format(
            name="ci",
            issuer=self.issuer.issuer,
            audience=AUDIENCE,
            ca_file=self.ca_file,
            more="user = ci:${repository}",
        )

    def accounts(self) -> str:
        """The sections of passwords and of rights."""
        return ACCOUNTS.format(htpasswd=self.htpasswd.path, rights=RIGHTS + self.rights)

    def sections(self, **lines: Any) -> str:
        accounts = self.accounts() + "\n" + self.identities()
        text = super().sections(accounts=accounts, **lines)
        return text.replace("accounts = staff", f"accounts = staff, {self.names}")

    def status(self, text: str) -> int:
        """What a ping with a token as its password is answered."""
        headers = {"Authorization": basic("oidc", text)}
        return self.https.request("GET", "/v2/", headers).status


class OidcTestCase(IdentityTestCase):
    """The npm package oidc-provider issues the tokens."""

    #: Whether the issuer is up before regbroker.
    is_up = True

    def start_registry(self, *arguments: Any, **named: Any) -> None:
        super().start_registry(*arguments, **named)
        jobs = {"main": MAIN, "feature": FEATURE}
        self.issuer = OidcProvider(self.directory / "issuer", self.authority, jobs)
        self.addCleanup(self.issuer.stop)
        if self.is_up:
            self.issuer.start(private_jwk("one", "one"))

    def job(self, name: str = "main") -> str:
        """A new token of a job."""
        text: str = self.issuer.token(AUDIENCE, name)
        self.add_secret(text)
        return text


class SteeredTestCase(IdentityTestCase):
    """An issuer that the test steers, and an admin listener to see what waits."""

    main = "admin-listen = tcp:0"

    def start_registry(self, *arguments: Any, **named: Any) -> None:
        super().start_registry(*arguments, **named)
        self.issuer = self.make_issuer()
        self.addCleanup(self.issuer.stop)
        self.rotate("one")
        self._threads = ThreadPoolExecutor(32)
        self.addCleanup(self._threads.shutdown)

    def make_issuer(self) -> IssuerServer:
        """The issuer."""
        return IssuerServer(self.authority, GITHUB_KEYS)

    def rotate(self, *kids: str) -> None:
        """Have the issuer say that these are its keys."""
        self.issuer.keys = [jwk(rsa_key(kid), kid, alg="RS256") for kid in kids]

    def job(self, kid: str = "one") -> str:
        """A token of a job on the main branch, signed with one of the keys."""
        now = int(time.time())
        said = {
            "iss": self.issuer.issuer,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
        }
        text = token({**GITHUB_CLAIMS, **said}, rsa_key(kid), "RS256", kid=kid)
        self.add_secret(text)
        return text

    def ask(self, path: str, headers: dict[str, str]) -> Future[Reply]:
        """Ask in a thread."""
        return self.begin(lambda: self.client().request("GET", path, headers))

    def begin(self, asking: Callable[[], Reply]) -> Future[Reply]:
        """Do some work in a thread."""
        return self._threads.submit(asking)

    def show(self, text: str) -> Future[Reply]:
        """Ping in a thread, with a token as the password."""
        return self.ask("/v2/", {"Authorization": basic("oidc", text)})

    def under_way(self) -> int:
        """How many requests are being answered."""
        return int(sum(self.metrics("regbroker_requests_under_way")))

    def metrics(self, name: str) -> list[float]:
        """The values of a metric."""
        url = self.regbroker.admin_url().partition('"')[0] + "/metrics"
        with urllib.request.urlopen(url, timeout=10) as reply:
            text = reply.read().decode()
        found = re.findall(rf"^{name}\{{.*\}} (\S+)$", text, re.MULTILINE)
        return list(map(float, found))
