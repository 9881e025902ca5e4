"""
An upstream's search service, asked over HTTP.

What it shows is what it shows to everybody: no credentials are ever sent to it,
and nothing of who has asked.
"""

from __future__ import annotations

from twisted.internet.defer import TimeoutError

from regbroker.causes import Cause, Side
from regbroker.errors import UpstreamTimeout
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.single_flight import Coalescer
from regbroker.transport.client.trust import Trust
from regbroker.upstream.documents import Document, Documents
from regbroker.upstream.search_rules import MAX_SEARCH_BYTES

#: Somebody waits at a keyboard.
SEARCH_SECONDS = 15.0

_WHAT = Side.SEARCH.value


class SearchService:
    """
    Asks one search service; those who ask the same at once share an answer.

    `url` is that of its API, without what comes after ``/v1``. `clock` is the
    reactor; `connect_timeout` is in seconds.
    """

    def __init__(
        self, url: str, trust: Trust, connect_timeout: float, clock: INetworkReactor
    ) -> None:
        self._url = url
        self._documents = Documents(
            _WHAT, MAX_SEARCH_BYTES, trust, connect_timeout, clock
        )
        self._asking: Coalescer[Document] = Coalescer(clock, SEARCH_SECONDS)

    def close(self) -> None:
        """End what is under way, and close the connections that nobody uses."""
        self._asking.cancel()
        self._documents.close()

    async def search(self, query: str) -> Document:
        """Return the answer to a query, whatever it is; raises `UpstreamError`."""
        return await self._ask(f"{self._url}/search?{query}")

    async def ping(self) -> Document:
        """Return the answer to a ping, whatever it is; raises `UpstreamError`."""
        return await self._ask(f"{self._url}/_ping")

    async def _ask(self, url: str) -> Document:
        try:
            return await self._asking.run(url, lambda: self._documents.ask("GET", url))
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"{_WHAT} did not answer in time", cause=Cause.SEARCH_IDLE
            ) from error
