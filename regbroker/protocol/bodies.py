"""
The few reply bodies that carry repository names: lists and errors.

Everything else, manifests above all, is bytes with a digest and is never read.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from regbroker.causes import Cause, Side
from regbroker.errors import UpstreamMalformed
from regbroker.protocol.names import Endpoint, ToPublic, error_code

#: A list of a hundred thousand tags is about 4 MB.
MAX_LIST_BYTES = 8 * 1024 * 1024

#: Errors are sentences; what is longer is somebody's HTML page.
MAX_ERROR_BYTES = 64 * 1024

#: Looking for names costs a walk through the rules for each word; no sentence has more.
MAX_WORDS = 1000

#: NaN and Infinity, which Python reads and no other JSON has.
_NOTHING: Callable[[str], None] = dict.fromkeys(("NaN", "Infinity", "-Infinity")).get

#: What may stand before a name: a host, and ``v2`` of a path of the API. More of them
#: are no place of anything.
MAX_PREFIXES = 4

#: Keys of errors (OCI distribution specification, "Error Codes") and of what stands in
#: their details, as Docker's registry writes it. They stay as they are, even where a
#: repository has the name of one.
_KEYS = frozenset(
    [
        "errors",
        "code",
        "message",
        "detail",
        "name",
        "tag",
        "digest",
        "manifest",
        "reference",
        "revision",
        "type",
        "class",
        "action",
        "reason",
    ]
)

#: Words of a message that may be a repository name or a host before one.
_WORD = re.compile(r"[A-Za-z0-9]+(?:(?:[._/-]+|:(?=\d{1,5}/))[A-Za-z0-9]+)*")


def decode_content(body: bytes, encoding: str, limit: int) -> bytes:
    """
    Undo a reply's ``Content-Encoding``: gzip, deflate or none.

    Raises `UpstreamMalformed` for others, for broken data, and above `limit`
    bytes.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise UpstreamMalformed(f"the upstream sent a body encoded as {encoding[:20]}")
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise UpstreamMalformed("the upstream's reply cannot be unpacked") from error
    if len(plain) > limit:
        raise UpstreamMalformed(
            f"the upstream's reply is larger than {limit} bytes",
            cause=Cause.BOUND_REACHED,
        )
    if not decoder.eof:
        raise UpstreamMalformed("the upstream's reply cannot be unpacked")
    return plain


def _number(text: str) -> float | None:
    """Return a number; None for one that no float holds, and no JSON has."""
    number = float(text)
    return number if math.isfinite(number) else None


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; raises `UpstreamMalformed` for anything else."""
    try:
        document = json.loads(body, parse_constant=_NOTHING, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise UpstreamMalformed("the upstream's reply is not JSON") from error
    if not isinstance(document, dict):
        raise UpstreamMalformed("the upstream's reply is not a JSON object")
    return document


def tags_list(body: bytes, public_name: str) -> bytes:
    """Return a ``tags/list`` body that speaks of `public_name`."""
    document = parse_object(body)
    document["name"] = public_name
    return _dump(document)


def catalog_names(body: bytes) -> list[str]:
    """Return the upstream names in a ``_catalog`` body."""
    names = parse_object(body).get("repositories") or []
    if not isinstance(names, list):
        raise UpstreamMalformed("the upstream's catalog has no list of repositories")
    return [name for name in names if isinstance(name, str)]


class NameRewriter:
    """
    Replaces upstream names in text that people will read.

    `known` holds the upstream names of this request with their public names,
    and the upstream's host, and the public one, with the public host. They are
    replaced in longer paths, too: distribution tells of files in its storage
    (``docker/registry/v2/repositories/NAME/_manifests``), Artifactory of its own
    repositories. Other words are replaced when the rules lead back from them: where a
    host or ``v2`` stands before them, or when no word but a name can look like that.
    """

    def __init__(self, known: Mapping[str, str], to_public: ToPublic) -> None:
        self._known = dict(known)
        self._to_public = to_public
        self._words: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Return a message with public names in the place of upstream ones."""
        return _WORD.sub(self._word, text)

    def value(self, value: Any) -> Any:
        """Return any JSON value with the names in its strings mapped back."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {
                key if key in _KEYS else self.text(key): self._item(key, item)
                for key, item in value.items()
            }
        return value

    def _item(self, key: str, item: Any) -> Any:
        if isinstance(item, str):
            if key == "code":
                # Clients decide by it.
                return item
            if key in ("name", "Name"):
                return self._name(item)
        return self.value(item)

    def _name(self, name: str) -> str:
        return self._known.get(name) or self._to_public(name) or self.text(name)

    def _word(self, found: re.Match[str]) -> str:
        word = found[0]
        # Error pages say the same words again and again.
        if word not in self._words:
            if len(self._words) >= MAX_WORDS:
                return self._known.get(word, word)
            self._words[word] = self._replaced(word)
        return self._words[word]

    def _replaced(self, word: str) -> str:
        if "/" not in word:
            return self._name_in(word, is_path=False)
        before = ""
        for _ in range(MAX_PREFIXES):
            if word in self._known:
                break
            prefix, slash, rest = word.partition("/")
            if not slash or (prefix != "v2" and prefix not in self._known):
                break
            before += self._known.get(prefix, prefix) + "/"
            word = rest
        return before + self._name_in(word, is_path=bool(before))

    def _name_in(self, word: str, is_path: bool) -> str:
        """Return a word with the name in it mapped; in a path there is one surely."""
        if word in self._known:
            return self._known[word]
        if "/" in word:
            for known, public in self._known.items():
                if word.startswith(known + "/"):
                    return public + word[len(known) :]
        public_name = self._to_public(word)
        # A rule with nothing before the star leads back from every word there is:
        # from "and/or", from media types, from the pages that say more.
        if public_name is None or (public_name.endswith(word) and not is_path):
            return self._inside.sub(lambda found: self._known[found[0]], word)
        return public_name

    @cached_property
    def _inside(self) -> re.Pattern[str]:
        """What finds known names behind a slash, up to the next one or the end."""
        names = "|".join(map(re.escape, sorted(self._known, key=len, reverse=True)))
        return re.compile(rf"(?<=/)(?:{names})(?=/|\Z)" if names else r"(?!)")


def error_body(
    status: int,
    body: bytes,
    rewriter: NameRewriter,
    endpoint: Endpoint | None = None,
    side: Side = Side.UPSTREAM,
) -> bytes:
    """
    Return an upstream's error as an OCI document with public names.

    What is no such document (HTML, plain text, nothing) is replaced by one
    that says the same as the status, at this endpoint of the API if there is one.
    `side` is the server that has answered.
    """
    document: dict[str, Any] = {}
    # After HEAD there is none.
    if body:
        with suppress(UpstreamMalformed, RecursionError):
            document = rewriter.value(parse_object(body))
    errors = document.get("errors")
    if isinstance(errors, list) and errors and all(isinstance(e, dict) for e in errors):
        return _dump(document)
    message = next(
        (
            document[key]
            for key in ("message", "error_description", "details", "error")
            if isinstance(document.get(key), str)
        ),
        f"{side.value} answered with status {status}",
    )
    code = error_code(status, endpoint)
    return _dump({"errors": [{"code": code, "message": message}]})


def _dump(document: Any) -> bytes:
    return json.dumps(document).encode() + b"\n"
