"""What the clients of a test have seen, to be searched when it ends."""

from __future__ import annotations

from collections.abc import Sequence

EXCERPT = 160


class Transcript:
    """Everything that reached the client's side, entry by entry."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, str]] = []

    def add(self, source: str, text: str) -> None:
        """Keep something that a client saw; `source` says where it was seen."""
        self._entries.append((source, text))

    def occurrences(self, words: Sequence[str]) -> list[str]:
        """Where any of the words was seen, one line for each entry and word."""
        found = []
        for source, text in self._entries:
            for word in words:
                at = text.find(word)
                if at >= 0:
                    excerpt = text[max(0, at - EXCERPT) : at + EXCERPT]
                    found.append(f"{word!r} in {source}: …{excerpt}…")
        return found
