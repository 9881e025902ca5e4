"""
Producers that are asked for each piece, where only those that push are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.task import CooperativeTask, cooperate
from twisted.logger import Logger
from zope.interface import implementer

_log = Logger()


@implementer(IPushProducer)
class Pulled:
    """
    Asks a pull producer for a piece in each turn of the reactor, unless it is paused.

    `give_up` is called when the producer raises.
    """

    def __init__(self, producer: IPullProducer, give_up: Callable[[], object]) -> None:
        self._producer = producer
        self._give_up = give_up
        self._task: CooperativeTask[Any] | None = None
        self._is_paused = False
        self._is_stopped = False

    def start(self) -> None:
        """Ask for the first piece."""
        if not self._is_stopped:
            self._task = cooperate(self._pieces())
            if self._is_paused:
                self._task.pause()

    def pauseProducing(self) -> None:
        """Ask for nothing until `resumeProducing`."""
        self._is_paused = True
        if self._task is not None and not self._is_stopped:
            self._task.pause()

    def resumeProducing(self) -> None:
        """Ask again."""
        self._is_paused = False
        if self._task is not None and not self._is_stopped:
            self._task.resume()

    def stopProducing(self) -> None:
        """Ask no more, and tell the producer."""
        self.stop()
        self._producer.stopProducing()

    def stop(self) -> None:
        """Ask no more."""
        if not self._is_stopped:
            self._is_stopped = True
            if self._task is not None:
                self._task.stop()

    def _pieces(self) -> Iterator[None]:
        while not self._is_stopped:
            try:
                self._producer.resumeProducing()
            except Exception:
                _log.failure("{producer!r} failed to produce", producer=self._producer)
                self._give_up()
            yield None
