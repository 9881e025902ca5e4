"""
Uploads whose URLs lie outside the distribution API, carried inside URLs of ours.

Google Artifact Registry answers the start of an upload with ``Location:
/artifacts-uploads/namespaces/…``. A client that went there would leave the proxy. So
it gets ``/v2/<name>/blobs/uploads/<sealed>``: the sealed part says where the
upload lies, and for which registry, upstream and repository. Only regbroker can have
written that, so nobody chooses what paths are asked for with the credentials that go
there, and a right to one repository opens no upload of another one.
"""

from __future__ import annotations

import json

from regbroker.accounts.sealing import Sealing
from regbroker.errors import DigestInvalid, UploadUnknown, UpstreamMalformed
from regbroker.naming.mapping import Route
from regbroker.protocol.names import is_algorithm, is_digest
from regbroker.protocol.origins import Origin
from regbroker.protocol.queries import join_target, only, parameters, split_target

_PURPOSE = "upload location"

#: What ids of ours begin with; no registry is known whose ids do.
_PREFIX = "rbu1."

#: Sealed, this is a third longer; clients must be able to send it in their headers.
MAX_TARGET_LENGTH = 32 * 1024

#: All that a client has to add to an upload's URL (OCI distribution-spec, "Pushing
#: blobs"). The rest would reach a path that is no part of the API.
_ADDED = ("digest", "digest-algorithm")


class CarriedUploads:
    """
    The uploads of one registry at one upstream.

    `registry` is the host of the registry's section.
    """

    def __init__(self, seal: Sealing, registry: str) -> None:
        self._seal = seal
        self._registry = registry

    def path(self, target: str, route: Route, origin: Origin, name: str) -> str:
        """
        Return the path of ours for an upload at `target`, which has no base path.

        `name` is what the client calls the repository. Raises `UpstreamMalformed`
        for a target that clients could not send back.
        """
        if len(target) > MAX_TARGET_LENGTH:
            raise UpstreamMalformed(
                "the upstream answered with a Location longer than "
                f"{MAX_TARGET_LENGTH} characters, which regbroker cannot carry"
            )
        text = json.dumps([*self._bound_to(route, origin), target])
        return f"/v2/{name}/blobs/uploads/{_PREFIX}{self._seal.seal(_PURPOSE, text)}"

    def target(
        self, upload: str, query: str, route: Route, origin: Origin
    ) -> str | None:
        """
        Return where the upload with this id lies, None for one of the API's own.

        `query` is what the client has added. Raises `UploadUnknown` for what was
        sealed for something else, or with a key that is gone, and `DigestInvalid`.
        """
        if not upload.startswith(_PREFIX):
            return None
        opened = self._seal.open(_PURPOSE, upload.removeprefix(_PREFIX))
        *bound, target = json.loads(opened) if opened is not None else [""]
        if bound != self._bound_to(route, origin):
            raise UploadUnknown(
                "this upload was not begun here, or the key that it was sealed with "
                "is gone; begin a new one"
            )
        path, state = split_target(target)
        added = _checked(only(query, *_ADDED))
        return join_target(path, "&".join(filter(None, (state, added))))

    def _bound_to(self, route: Route, origin: Origin) -> list[str]:
        return [self._registry, route.upstream, str(origin), route.upstream_name]


def _checked(query: str) -> str:
    """Return a query of digests; some servers find more parameters in other values."""
    added = parameters(query)
    for name, value in added:
        is_good = is_digest if name == "digest" else is_algorithm
        if not is_good(value) or sum(other == name for other, _ in added) > 1:
            raise DigestInvalid(f"the parameter {name} is wrong, or stands twice")
    return query
