"""A request as the client sent it, parsed once for all endpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from twisted.web.server import Request

from regbroker.events import Event
from regbroker.protocol.header_list import NO_HEADERS, ReceivedHeaders
from regbroker.protocol.header_table import IS_CREDENTIAL
from regbroker.protocol.headers import Forwarded, Header
from regbroker.protocol.queries import NO_QUERY, Query, parse_query

#: The kinds of credentials, by the scheme of an Authorization.
_KINDS = {"": "", "basic": "password", "bearer": "token"}


@dataclass(slots=True, repr=False)
class ClientRequest:
    """
    One request as it came in; a value, as those of `regbroker.web.exchange`.

    `path` is as the client wrote it, `query` too. `forwarded` says how the request
    came here, `authorization` is the value of that header, None without one. `headers`
    are those that were received. `http` is what the channel knows of the request: its
    body is read there, and the reply is written to it. `request_id` tells the request
    from others, in the logs of all who have to do with it. `token` is the client's, out
    of `authorization`; empty when it brought none.
    """

    http: Final[Request]
    forwarded: Final[Forwarded]
    method: Final[str]
    path: Final[str]
    query: Final[Query]
    authorization: Final[str | None]
    headers: Final[ReceivedHeaders] = field(default_factory=lambda: NO_HEADERS)
    request_id: Final[str] = ""
    token: Final[str] = ""

    def __repr__(self) -> str:
        # Headers may be secret.
        return f"<ClientRequest {self.method} {self.path} of {self.forwarded}>"

    @property
    def other_credentials(self) -> tuple[Header, ...]:
        """
        What says who the client is beside `authorization`, in names of registries.

        What an upstream has shown to one client is for another one only if this is the
        same, too.
        """
        return tuple([each for each in self.headers if IS_CREDENTIAL[each[0]]])

    @property
    def is_for_api(self) -> bool:
        """Whether the path is one of the distribution API's."""
        return self.path[:4] == "/v2/" or self.path == "/v2"


def parse_request(
    http: Request, headers: ReceivedHeaders, forwarded: Forwarded, event: Event
) -> ClientRequest:
    """
    Return a request as a value; its record gets the kind of its credentials.

    Raises `BadRequest` for a query of too many parameters.
    """
    authorization, token = None, ""
    if b"authorization" in headers.by_name:
        authorization = headers.by_name[b"authorization"].decode("latin-1")
        event.credentials, token = parse_authorization(authorization)
    path, _, query = http.uri.decode("latin-1").partition("?")
    return ClientRequest(
        http,
        forwarded,
        http.method.decode("latin-1"),
        path,
        parse_query(query) if query else NO_QUERY,
        authorization,
        headers,
        event.request_id,
        token,
    )


def parse_authorization(authorization: str) -> tuple[str, str]:
    """Return what kind of credentials a client brings, and its token."""
    scheme, _, rest = authorization.partition(" ")
    kind = _KINDS.get(scheme.lower(), "other")
    return kind, rest.strip() if kind == "token" else ""
