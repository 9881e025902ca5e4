"""Issuers of JWTs for tests: keys, tokens of the documented forms, and JWK sets."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://issuer.test"
AUDIENCE = "registry.test"
NOW = 1_700_000_000

#: What GitHub documents of a job's token (OpenID Connect reference).
GITHUB_CLAIMS = {
    "jti": "example-id",
    "sub": "repo:acme/app:ref:refs/heads/main",
    "ref": "refs/heads/main",
    "sha": "example-sha",
    "repository": "acme/app",
    "repository_owner": "acme",
    "actor_id": "12",
    "repository_visibility": "private",
    "repository_id": "74",
    "repository_owner_id": "65",
    "run_id": "example-run-id",
    "run_number": "10",
    "run_attempt": "2",
    "runner_environment": "github-hosted",
    "actor": "octocat",
    "workflow": "example-workflow",
    "head_ref": "",
    "base_ref": "",
    "event_name": "push",
    "ref_type": "branch",
    "job_workflow_ref": "acme/automation/.github/workflows/oidc.yml@refs/heads/main",
}

#: What GitLab documents (ID token payload).
GITLAB_CLAIMS = {
    "namespace_id": "72",
    "namespace_path": "acme",
    "project_id": "20",
    "project_path": "acme/app",
    "user_id": "1",
    "user_login": "sample-user",
    "user_email": "sample-user@example.com",
    "pipeline_id": "574",
    "pipeline_source": "push",
    "job_id": "302",
    "ref": "main",
    "ref_type": "branch",
    "ref_path": "refs/heads/main",
    "ref_protected": "true",
    "environment": "production",
    "sub": "project_path:acme/app:ref_type:branch:ref:main",
}

#: What Kubernetes documents (Service account token structure).
KUBERNETES_CLAIMS = {
    "kubernetes.io": {
        "namespace": "build",
        "node": {"name": "node-1", "uid": "646e7c5e"},
        "pod": {"name": "kaniko-1", "uid": "5e0bd49b"},
        "serviceaccount": {"name": "kaniko", "uid": "14ee3fa4"},
    },
    "sub": "system:serviceaccount:build:kaniko",
}


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key of that name, the same each time."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str = "one") -> ec.EllipticCurvePrivateKey:
    """A key of that name, the same each time."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str = "one") -> ed25519.Ed25519PrivateKey:
    """A key of that name, the same each time."""
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str | None = "k1", **more: Any) -> dict[str, Any]:
    """The public part of a key, as a JWK."""
    algorithm: Any = jwt.algorithms.RSAAlgorithm
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = jwt.algorithms.ECAlgorithm
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = jwt.algorithms.OKPAlgorithm
    entry = algorithm.to_jwk(key.public_key(), as_dict=True)
    named = {} if kid is None else {"kid": kid}
    return {"kty": entry["kty"], **entry, "use": "sig", **named, **more}


def jwks(*entries: Mapping[str, Any]) -> bytes:
    """A JWK set."""
    return json.dumps({"keys": list(entries)}).encode()


def claims(now: float = NOW, **changed: Any) -> dict[str, Any]:
    """The claims of a good token; None takes one out."""
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "repo:acme/app",
        "iat": int(now) - 1,
        "nbf": int(now) - 1,
        "exp": int(now) + 300,
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not None}


def token(
    content: Mapping[str, Any],
    key: Any = None,
    algorithm: str = "ES256",
    **headers: Any,
) -> str:
    """A signed token; headers beside ``alg`` and ``typ``, with the kid ``k1``."""
    header = {"kid": "k1", **headers}
    # Not as a JWT: what no issuer writes is wanted, too.
    return jwt.PyJWS().encode(
        json.dumps(content).encode(),
        key or ec_key(),
        algorithm,
        {name: value for name, value in header.items() if value is not None},
    )


def raw_token(header: Any, payload: Any, signature: bytes = b"x") -> str:
    """A token of any parts, signed by nobody."""
    parts = [json.dumps(part).encode() for part in (header, payload)]
    return ".".join(encoded(part) for part in (*parts, signature))


def encoded(part: bytes) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
