"""A search service as Docker Hub has one: `/v1/search` and `/v1/_ping`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from .certificates import Authority
from .threaded import TlsServer


@dataclass(frozen=True)
class Question:
    """One request: its target, and its headers by their names in lower case."""

    target: str
    headers: dict[str, str]

    @property
    def text(self) -> str:
        """What was searched for."""
        query = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return query.get("q", [""])[0]


class SearchService:
    """Finds those of its names that have the text in them; keeps what it was asked."""

    def __init__(self, authority: Authority, names: Sequence[str]) -> None:
        self.names = names
        self.questions: list[Question] = []

        class Handler(_SearchHandler):
            service = self

        self._server = TlsServer(authority.issue("127.0.0.1"), Handler)
        self.port = self._server.port
        self.url = f"https://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self._server.stop()

    def texts(self) -> list[str]:
        """What was searched for so far."""
        return [
            question.text
            for question in self.questions
            if question.target.startswith("/v1/search?")
        ]


class _SearchHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: ClassVar[SearchService]

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        question = Question(self.path, headers)
        self.service.questions.append(question)
        path = urlsplit(self.path).path
        if path == "/v1/_ping":
            self._reply(200, True)
        elif path == "/v1/search":
            self._reply(200, self._found(question.text))
        else:
            self._reply(404, "nothing here")

    def _found(self, text: str) -> dict[str, object]:
        names = [name for name in self.service.names if text in name]
        return {
            "num_pages": 1,
            "num_results": len(names),
            "page": 1,
            "page_size": 25,
            "query": text,
            "results": [
                {
                    "name": name,
                    "description": f"image number {number}",
                    "star_count": number,
                    "is_official": "/" not in name,
                    "is_automated": False,
                }
                for number, name in enumerate(names)
            ],
        }

    def _reply(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
