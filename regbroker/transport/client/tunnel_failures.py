"""
Why there is no connection through a proxy.

Apart from the tunnel itself, whose parser takes long to load: errors are told apart
where no proxy is used, too.
"""

from __future__ import annotations

from regbroker.causes import Cause


class TunnelFailed(Exception):
    """
    There is no connection through the proxy; the text is for the log.

    `cause` is None where the proxy could not reach the server.
    """

    def __init__(self, text: str, cause: Cause | None) -> None:
        super().__init__(text)
        self.cause = cause
