"""What the tests of identities have in common: a registry, and jobs with JWTs."""

from __future__ import annotations

from typing import Any

import jwt

from tests.issuers import rsa_key

from .accounts_case import ACCOUNTS, RIGHTS, BareRegistryTestCase
from .peers.https_client import basic
from .peers.oidc_provider import OidcProvider

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

    def identities(self) -> str:
        """The sections of identities."""
        raise NotImplementedError

    def sections(self, **lines: Any) -> str:
        accounts = ACCOUNTS.format(
            htpasswd=self.htpasswd.path, rights=RIGHTS + self.rights
        )
        text = super().sections(accounts=accounts + "\n" + self.identities())
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

    def identities(self) -> str:
        return IDENTITY.format(
            name="ci",
            issuer=self.issuer.issuer,
            audience=AUDIENCE,
            ca_file=self.ca_file,
            more="user = ci:${repository}",
        )

    def job(self, name: str = "main") -> str:
        """A new token of a job."""
        text = self.issuer.token(AUDIENCE, name)
        self.add_secret(text)
        return text
