"""Signals of the process, as calls in the reactor."""

import os
import signal
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from regbroker.runtime.signals import on_signal


class SignalTests(TestCase):
    """A signal that the process sends to itself."""

    def test_called(self) -> Deferred[None]:
        """The call happens in the reactor."""
        before = signal.getsignal(signal.SIGUSR2)
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        called: Deferred[None] = Deferred()
        on_signal(cast(Any, reactor), signal.SIGUSR2, lambda: called.callback(None))
        os.kill(os.getpid(), signal.SIGUSR2)
        return called.addTimeout(30, reactor)
