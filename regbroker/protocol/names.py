"""
Repository names, references, digests, and the paths of the distribution API.

Grammar and paths: OCI distribution-spec 1.1, "Pulling manifests" and
"Endpoints"; limits: distribution's ``reference`` package.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

from regbroker.errors import (
    BadRequest,
    DigestInvalid,
    EndpointUnknown,
    MethodNotAllowed,
    NameInvalid,
    TagInvalid,
    code_for_status,
)

#: Returns the public name of an upstream's repository; None where it has none.
ToPublic = Callable[[str], str | None]

#: The endpoint by which clients learn whether, and how, they have to log in.
PING_PATH = "/v2/"
CATALOG_PATH = "/v2/_catalog"

#: distribution refuses longer names; so do most registries' databases.
MAX_NAME_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_ALGORITHM = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*")
_DIGEST = re.compile(rf"{_ALGORITHM.pattern}:[A-Za-z0-9=_-]+")

#: An upload's id is the registry's own affair; it only must stay one segment.
_UPLOAD_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~!$&'()*+,;=:@-]+")

_REPOSITORY_PATH = re.compile(
    r"/v2/(?P<name>.+)"
    r"(?P<rest>/(?:"
    r"(?P<tags>tags/list)"
    r"|manifests/(?P<manifest>[^/]+)"
    r"|(?P<start>blobs/uploads/?)"
    # "upload" in the singular is what GHCR puts into its Locations.
    r"|blobs/uploads?/(?P<upload>[^/]+)"
    r"|blobs/(?P<blob>[^/]+)"
    r"|referrers/(?P<referrers>[^/]+)"
    r"))"
)


#: An extension's paths are its own affair, as far as every server reads the same in
#: them: of what may be encoded, only the separators of digests and the like are.
_SEGMENT = re.compile(
    r"(?!\.{1,2}$)(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%(?:2[BbCc]|3[AaDd]|40))+"
)


class Endpoint(Enum):
    """The endpoints of the distribution API."""

    BASE = "version check"
    CATALOG = "catalog"
    TAGS = "tag list"
    MANIFEST = "manifest"
    BLOB = "blob"
    UPLOADS = "start of an upload"
    UPLOAD = "upload"
    REFERRERS = "referrers list"
    EXTENSION = "extension"

    #: That of `Enum` is a function in Python.
    __hash__ = object.__hash__

    def __init__(self, _: str) -> None:
        #: What the log calls it.
        self.log_name = self.name.lower()


METHODS = {
    Endpoint.BASE: ("GET", "HEAD"),
    Endpoint.CATALOG: ("GET",),
    Endpoint.TAGS: ("GET", "HEAD"),
    Endpoint.MANIFEST: ("GET", "HEAD", "PUT", "DELETE"),
    Endpoint.BLOB: ("GET", "HEAD", "DELETE"),
    Endpoint.UPLOADS: ("POST",),
    Endpoint.UPLOAD: ("GET", "HEAD", "PATCH", "PUT", "DELETE"),
    Endpoint.REFERRERS: ("GET", "HEAD"),
    Endpoint.EXTENSION: ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
}


class Action(Enum):
    """What a request does to a repository; the words of token scopes."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


#: What a registry with a token service wants for an action: a push reads, too.
WANTED_ACTIONS = {
    Action.PULL: ("pull",),
    Action.PUSH: ("pull", "push"),
    Action.DELETE: ("delete",),
}

_ACTIONS = {"GET": Action.PULL, "HEAD": Action.PULL, "DELETE": Action.DELETE}


def error_code(status: int, endpoint: Endpoint | None) -> str:
    """Return the OCI code for an error of an endpoint, or of none of the API."""
    if status == 416 and endpoint is Endpoint.UPLOAD:
        # A chunk out of order. Elsewhere it is about what a reader wants.
        return "BLOB_UPLOAD_INVALID"
    return code_for_status(status)


@dataclass(frozen=True)
class Target:
    """
    What a path of the distribution API points at.

    `rest` is the path after the name, byte for byte, so that the path can be
    put together again with another name. `reference` is the tag, digest, upload
    id or extension, decoded; None where the endpoint has none. An extension may
    have no name: then it is about the whole registry.
    """

    endpoint: Endpoint
    path: str
    name: str | None = None
    rest: str = ""
    reference: str | None = None

    def path_for(self, name: str) -> str:
        """Return this path with another repository name."""
        return f"/v2/{name}{self.rest}"

    def check_method(self, method: str, read_only: bool = False) -> None:
        """
        Raise `MethodNotAllowed` unless the endpoint takes `method`.

        With `read_only`, it takes only what pulls: nothing, for an upload.
        """
        methods = METHODS[self.endpoint]
        left = methods
        if read_only:
            left = tuple(one for one in methods if self.action_of(one) is Action.PULL)
        if method in left:
            return
        allow = ", ".join(left)
        message = f"the {self.endpoint.value} takes {allow}, not {method[:20]}"
        if read_only and (method in methods or not left):
            message = "this registry is read-only: it takes no pushes and no deletes"
        raise MethodNotAllowed(message, headers=[(b"Allow", allow.encode())])

    def action_of(self, method: str) -> Action:
        """Return what `method` does here: reading an upload is part of a push."""
        if self.endpoint in (Endpoint.UPLOADS, Endpoint.UPLOAD):
            return Action.PUSH
        return _ACTIONS.get(method, Action.PUSH)


def is_name(text: str) -> bool:
    """Tell whether `text` is a repository name."""
    return len(text) <= MAX_NAME_LENGTH and _NAME.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Tell whether `text` is a tag."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Tell whether `text` is a digest, of whatever algorithm."""
    return _DIGEST.fullmatch(text) is not None


def is_algorithm(text: str) -> bool:
    """Tell whether `text` is what a digest begins with, such as ``sha256``."""
    return _ALGORITHM.fullmatch(text) is not None


def check_name(text: str) -> str:
    """Return `text`; raise `NameInvalid` unless it is a repository name."""
    if not is_name(text):
        raise NameInvalid(
            "this is not a repository name: lower-case letters, digits, and "
            f"single separators . _ - / between them, at most {MAX_NAME_LENGTH} "
            "characters",
            detail={"name": text[:MAX_NAME_LENGTH]},
        )
    return text


def parse_path(path: str, extensions: bool = False) -> Target:
    """
    Parse a request's path, as the client sent it, without the query.

    With `extensions`, what begins with "_" is one; else it is a bad name.

    Raises `NameInvalid`, `TagInvalid`, `DigestInvalid`, `BadRequest` or
    `EndpointUnknown`. Nothing that raises may be sent to an upstream.
    """
    if path in ("/v2", PING_PATH):
        # Registries that know no /v2 answer with a redirect, or 404.
        return Target(Endpoint.BASE, PING_PATH)
    if path == CATALOG_PATH:
        return Target(Endpoint.CATALOG, path)
    match = _REPOSITORY_PATH.fullmatch(path)
    if extensions and (match is None or "/_" in f"/{match['name']}"):
        extension = _extension(path)
        if extension is not None:
            return extension
    if match is None:
        if path.startswith("/v2/") and not path.startswith("/v2/_"):
            # Encoded slashes, dot segments and the like, on whatever endpoint.
            check_name(path.removeprefix("/v2/").rstrip("/"))
        raise EndpointUnknown("this path is no endpoint of the distribution API")
    name = check_name(match["name"])
    rest = match["rest"]
    if match["tags"]:
        return Target(Endpoint.TAGS, path, name, rest)
    if match["start"]:
        return Target(Endpoint.UPLOADS, path, name, rest)
    if match["upload"] is not None:
        upload = unquote(match["upload"])
        if _UPLOAD_ID.fullmatch(upload) is None:
            raise BadRequest("this is not the id of an upload")
        return Target(Endpoint.UPLOAD, path, name, rest, upload)
    if match["manifest"] is not None:
        reference = unquote(match["manifest"])
        if not (is_tag(reference) or is_digest(reference)):
            raise TagInvalid("the reference is neither a tag nor a digest")
        return Target(Endpoint.MANIFEST, path, name, rest, reference)
    endpoint = Endpoint.BLOB if match["blob"] is not None else Endpoint.REFERRERS
    digest = unquote(match["blob"] or match["referrers"])
    if not is_digest(digest):
        raise DigestInvalid("this is not a digest: algorithm:encoded")
    return Target(endpoint, path, name, rest, digest)


def _extension(path: str) -> Target | None:
    """
    Return the target of an extension's path; None for other paths.

    No part of a repository's name begins with "_": that is for extensions (OCI
    distribution-spec, extensions/README.md). Raises as `parse_path`.
    """
    before, separator, after = path.partition("/_")
    if not separator or not path.startswith("/v2/"):
        return None
    name = None
    if before != "/v2":
        name = check_name(before.removeprefix("/v2/"))
    extension, *segments = f"_{after}".split("/")
    if segments and not segments[-1]:
        segments.pop()
    if not segments:
        raise EndpointUnknown("this path is no endpoint of the distribution API")
    if not all(map(_SEGMENT.fullmatch, (extension, *segments))):
        raise BadRequest("this is no path of an extension")
    return Target(Endpoint.EXTENSION, path, name, f"{separator}{after}", extension)
