"""
``regbroker-credential-provider``: a credential provider for the kubelet.

The kubelet starts it for an image that is to be pulled, writes a
``CredentialProviderRequest`` with the pod's service account token to its standard
input, and reads a ``CredentialProviderResponse`` from its standard output. The token is
the password, as it is; regbroker checks it. Nothing is asked over the network.

Source: Kubernetes' ``credentialprovider.kubelet.k8s.io/v1`` and KEP-4412. It is started
for each pull, so it imports the standard library alone, and little of that.
"""

from __future__ import annotations

import json
import re
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence

API_VERSION = "credentialprovider.kubelet.k8s.io/v1"

#: The user name beside the token, which says itself whose it is.
USER = "oidc"

#: Exit statuses, with their meaning.
DONE, NOT_UNDERSTOOD, USAGE, NO_CREDENTIALS = range(4)

#: A request is a token and a few annotations, which have 256 KiB at most.
MAX_REQUEST_BYTES = 1024 * 1024

#: Seconds. A token that comes out of the kubelet's cache has to last until the pull
#: has begun.
MARGIN = 30

#: Seconds since 1970, in the year 5138: what is beyond it is no time.
_MAX_TIME = 1e11

#: A host as docker tells it from a namespace: by a dot, a port, or its name.
_HOST = re.compile(
    r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|localhost)(?::[0-9]+)?"
    r"|[A-Za-z0-9-]+:[0-9]+|\[[0-9A-Fa-f:]+\](?::[0-9]+)?"
)

_USAGE = """\
usage: regbroker-credential-provider < REQUEST

The kubelet starts it: it reads a CredentialProviderRequest on standard input, and
writes a CredentialProviderResponse with the service account token as the password."""


class Refused(Exception):
    """There is no response; `status` is that of the process."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def main(
    arguments: Sequence[str] | None = None, now: Callable[[], float] = time.time
) -> int:
    """Answer the request on standard input; returns the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given:
        is_help = given in (["-h"], ["--help"])
        print(_USAGE, file=sys.stdout if is_help else sys.stderr)
        return DONE if is_help else USAGE
    try:
        reply = respond(sys.stdin.buffer.read(MAX_REQUEST_BYTES + 1), now())
    except Refused as error:
        print(f"regbroker-credential-provider: {error}", file=sys.stderr)
        return error.status
    print(json.dumps(reply))
    return DONE


def respond(data: bytes, now: float) -> dict[str, object]:
    """
    Return the response to a request; `now` is in seconds since 1970.

    Raises `Refused`, whose text tells nothing of the token.
    """
    request = _parse(data)
    host = _registry_of(_text(request, "image"))
    token = _text(request, "serviceAccountToken")
    if not token:
        raise Refused(
            NO_CREDENTIALS,
            "the request has no serviceAccountToken; write tokenAttributes with a "
            "serviceAccountTokenAudience into the kubelet's CredentialProviderConfig "
            "(Kubernetes 1.34 or later)",
        )
    left = int(_end_of(token) - now)
    if left <= 0:
        raise Refused(
            NO_CREDENTIALS,
            "the service account token has expired; is this node's clock right?",
        )
    return {
        "apiVersion": API_VERSION,
        "kind": "CredentialProviderResponse",
        # One token is good for every image of the registry.
        "cacheKeyType": "Registry",
        "cacheDuration": f"{max(0, left - MARGIN)}s",
        "auth": {host: {"username": USER, "password": token}},
    }


def _parse(data: bytes) -> dict[str, object]:
    if len(data) > MAX_REQUEST_BYTES:
        raise Refused(
            NOT_UNDERSTOOD, f"the request is larger than {MAX_REQUEST_BYTES} bytes"
        )
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise Refused(NOT_UNDERSTOOD, "the request on standard input is no JSON object")
    for name, wanted in (
        ("apiVersion", API_VERSION),
        ("kind", "CredentialProviderRequest"),
    ):
        if request.get(name) != wanted:
            raise Refused(
                NOT_UNDERSTOOD,
                f"the request's {name} is {_shown(request.get(name))}, and {wanted} is "
                "understood",
            )
    annotations = request.get("serviceAccountAnnotations") or {}
    # They are checked, and say nothing here: what counts is signed, in the token.
    if not isinstance(annotations, dict) or not all(
        isinstance(value, str) for value in annotations.values()
    ):
        raise Refused(
            NOT_UNDERSTOOD, "the request's serviceAccountAnnotations are no texts"
        )
    return request


def _text(request: dict[str, object], name: str) -> str:
    value = request.get(name, "")
    if not isinstance(value, str):
        raise Refused(NOT_UNDERSTOOD, f"the request's {name} is no text")
    return value


def _registry_of(image: str) -> str:
    """Return the host, with its port, that an image is pulled from."""
    host, slash, name = image.partition("/")
    if not (slash and name and _HOST.fullmatch(host)):
        raise Refused(
            NO_CREDENTIALS,
            f"the image {_shown(image)} names no registry; write HOST/NAME in the pod, "
            "and HOST in matchImages",
        )
    return host


def _end_of(token: str) -> float:
    """Return when a JWT expires, in seconds since 1970; nobody checks its signature."""
    claims: object
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise Refused(NO_CREDENTIALS, "the service account token is no JWT")
    end = claims.get("exp")
    if isinstance(end, bool) or not isinstance(end, int | float):
        end = 0
    if not 0 < end < _MAX_TIME:
        raise Refused(
            NO_CREDENTIALS,
            "the service account token does not say when it expires (exp)",
        )
    return float(end)


def _shown(value: object) -> str:
    """Return a value for people, in printable ASCII; never a token."""
    return ascii(value)[:120]


if __name__ == "__main__":
    sys.exit(main())
