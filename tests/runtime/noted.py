"""Coroutines that are driven, and whose ends are noted."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from regbroker.runtime.at_once import Driven


class Noted(Driven):
    """A coroutine, and how it has ended: what it has returned or raised."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.ends: list[Any] = []
        self.begin(coroutine)

    def returned(self, value: Any) -> None:
        self.ends.append(value)

    def raised(self, error: BaseException) -> None:
        self.ends.append(error)
