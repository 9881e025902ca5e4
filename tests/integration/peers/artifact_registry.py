"""A registry whose uploads and downloads lie outside the API, as Google's have theirs.

It stands before a real registry, which knows nothing of it: what that registry calls
`/v2/NAME/blobs/uploads/ID` is `/artifacts-uploads/…/uploads/TOKEN` here, and is not to
be had by its own path.
"""

from __future__ import annotations

import http.client
import re
import secrets
import threading
from typing import ClassVar
from urllib.parse import quote, urlsplit

from .certificates import Authority
from .small_server import SmallHandler
from .threaded import TlsServer

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
WAIT_SECONDS = 60.0

UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/[^/]+")
BLOB = re.compile(r"/v2/(.+)/blobs/[a-z0-9]+:[0-9a-f]+")


class ArtifactRegistry:
    """`https://127.0.0.1:PORT` before a registry that speaks plain HTTP.

    With `absolute` it names its own host in the Locations of uploads. `requests` has
    method and target of all that came.
    """

    def __init__(
        self, authority: Authority, registry_port: int, *, absolute: bool = False
    ) -> None:
        self.registry_port = registry_port
        self.requests: list[tuple[str, str]] = []
        self._absolute = absolute
        self._places: dict[str, str] = {}
        self._lock = threading.Lock()

        class Handler(_Handler):
            registry = self

        self._server = TlsServer(authority.issue("127.0.0.1"), Handler)
        self.host = f"127.0.0.1:{self._server.port}"
        self.url = f"https://{self.host}"

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self._server.stop()

    def place(self, kind: str, name: str, target: str) -> str:
        """A path of our own for a target of the registry's."""
        token = secrets.token_urlsafe(24)
        project, _, repository = name.partition("/")
        path = (
            f"/artifacts-{kind}/namespaces/{project}/repositories/"
            f"{quote(repository, safe='')}/{kind}/{token}"
        ).replace("%2F", "-")
        with self._lock:
            self._places[path] = target
        return path

    def target(self, path: str) -> str | None:
        """The registry's target for a path of our own."""
        with self._lock:
            return self._places.get(path)

    def upload(self, location: str) -> str:
        """A Location of the registry as we write it."""
        parts = urlsplit(location)
        match = UPLOAD.fullmatch(parts.path)
        if match is None:
            return parts.path
        path = self.place("uploads", match[1], f"{parts.path}?{parts.query}")
        return f"{self.url}{path}" if self._absolute else path


class _Handler(SmallHandler):
    registry: ClassVar[ArtifactRegistry]

    def _serve(self) -> None:
        body = self._body()
        self.registry.requests.append((self.command, self.path))
        path, _, query = self.path.partition("?")
        if UPLOAD.fullmatch(path):
            self._reply(404, {}, b"")
        elif path.startswith("/artifacts-"):
            target = self.registry.target(path)
            if target is None:
                self._reply(404, {}, b"")
            elif query:
                self._pass_on(f"{target}&{query}", body)
            else:
                self._pass_on(target, body)
        else:
            self._pass_on(self.path, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _pass_on(self, target: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.registry.registry_port, timeout=WAIT_SECONDS
        )
        try:
            connection.putrequest(
                self.command, target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length", "expect"}:
                    connection.putheader(name, value)
            if body or self.command in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            document = response.read()
        finally:
            connection.close()
        headers = {
            name: value
            for name, value in response.getheaders()
            if name.lower() not in HOP_BY_HOP
        }
        if "Location" in headers:
            headers["Location"] = self.registry.upload(headers["Location"])
        blob = BLOB.fullmatch(self.path)
        if blob and self.command == "GET" and response.status == 200:
            place = self.registry.place("downloads", blob[1], target)
            self._reply(302, {"Location": place}, b"")
        else:
            self._reply(response.status, headers, document)
