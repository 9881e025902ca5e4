"""The reactor of a process that is regbroker's alone."""

from __future__ import annotations

import sys

from twisted.internet.main import installReactor


def install_reactor() -> None:
    """
    Have `twisted.internet.reactor` be one that takes fewer steps for each event.

    It has no effect where there is a reactor already, or no epoll: there is Twisted's
    own then.
    """
    if "twisted.internet.reactor" in sys.modules:
        return
    try:
        from regbroker.transport.twisted_private.reactor import ContextFreeReactor
    except ImportError:
        return
    installReactor(ContextFreeReactor())
