"""Contexts of Twisted's, kept in fewer steps."""

from __future__ import annotations

from threading import Thread

from twisted.python import context
from twisted.python.log import ILogContext
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.log_contexts import ThreadContexts, track_contexts


class TrackContextsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(context.installContextTracker, context.theContextTracker)
        track_contexts()

    def test_installed(self) -> None:
        """It takes the place of Twisted's own, and knows Twisted's defaults."""
        self.assertIsInstance(context.theContextTracker, ThreadContexts)
        self.assertEqual(context.get(ILogContext), {"system": "-"})

    def test_call(self) -> None:
        """What is called sees the inner context, then the outer one, and it ends."""

        def inner() -> list[object]:
            return [context.get(key, "none") for key in ("a", "b", "c")]

        def outer(value: int, more: int) -> list[object]:
            return [value, more, *context.call({"b": 3}, inner)]

        seen = context.call({"a": 1, "b": 2}, outer, 4, more=5)
        self.assertEqual(seen, [4, 5, 1, 3, "none"])
        self.assertIsNone(context.get("a"))

    def test_raises(self) -> None:
        """A context ends with an exception, too."""
        with self.assertRaises(ZeroDivisionError):
            context.call({"a": 1}, lambda: 1 / 0)
        self.assertIsNone(context.get("a"))

    def test_threads(self) -> None:
        """Another thread has contexts of its own."""
        seen = []

        def run() -> None:
            seen.append((context.get("a"), context.get(ILogContext)))

        def start() -> None:
            thread = Thread(target=run)
            thread.start()
            thread.join()

        context.call({"a": 1, ILogContext: {"system": "here"}}, start)
        self.assertEqual(seen, [(None, {"system": "-"})])

    def test_thread_pool(self) -> None:
        """What a pool of threads runs sees the context that it was given in."""
        pool = ThreadPool(1, 1)
        pool.start()
        seen: list[object] = []
        context.call({"a": 1}, pool.callInThread, lambda: seen.append(context.get("a")))
        pool.stop()
        self.assertEqual(seen, [1])
