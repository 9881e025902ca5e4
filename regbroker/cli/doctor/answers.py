"""Answers of HTTP servers, out of bytes that may be anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_STATUS = re.compile(rb"HTTP/1\.[01] (?P<status>[1-5][0-9]{2})(?: |\r|\n|$)")


@dataclass(frozen=True)
class Answer:
    """Status, headers with lower-case names, and as much of the body as was read."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty for any other body."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def error_code(self) -> str:
        """The OCI code of the first error in the body; empty without one."""
        errors = self.document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else None
        code = first.get("code") if isinstance(first, dict) else None
        return code if isinstance(code, str) else ""

    @property
    def is_page(self) -> bool:
        """Whether it is a web page."""
        kind = self.header("content-type") or ""
        return "html" in kind or self.body.lstrip()[:9].lower().startswith(
            (b"<!doctype", b"<html")
        )


def parse_answer(data: bytes) -> Answer | None:
    """Return what a server has sent; None for what is no HTTP/1."""
    head, _, rest = data.partition(b"\r\n\r\n")
    match = _STATUS.match(head)
    if match is None:
        return None
    headers = []
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.strip().lower(), value.strip()))
    answer = Answer(int(match["status"]), tuple(headers), rest)
    if "chunked" in (answer.header("transfer-encoding") or "").lower():
        return Answer(answer.status, answer.headers, _joined(rest))
    return answer


def is_complete(data: bytes, limit: int, *, has_body: bool = True) -> bool:
    """Tell whether all of an answer is there, or `limit` bytes of its body."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return len(data) > limit
    if not has_body or len(rest) >= limit:
        return True
    answer = parse_answer(data)
    if answer is None or answer.status in (204, 304):
        return True
    length = answer.header("content-length") or ""
    if length.isascii() and length.isdigit():
        return len(rest) >= int(length[:18])
    return rest.endswith(b"0\r\n\r\n") and b"chunked" in head.lower()


def _joined(rest: bytes) -> bytes:
    """Return a body without the sizes of its chunks, as far as it is there."""
    body = b""
    while rest:
        size, line_end, rest = rest.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            break
        if not line_end or not length:
            break
        body, rest = body + rest[:length], rest[length + 2 :]
    return body
