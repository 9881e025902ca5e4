"""
The end of a listening socket, to which clients still connect.

Facts that shape this module:

- A client is connected as soon as the kernel says so, and may have sent its request.
  Until the process accepts the connection, it waits in a queue of the kernel's. When
  the last process closes the socket, the kernel resets all that wait there.
- Twisted's ports stop to accept a turn of the reactor before they close. Under load,
  such a turn takes milliseconds, and many clients connect meanwhile.
"""

from __future__ import annotations

from contextlib import suppress
from select import POLLIN, poll
from typing import Any

from twisted.internet.protocol import connectionDone

#: How many times a port is asked to accept what waits. It takes one or more each time;
#: clients that come faster than they are accepted for so long are refused.
MOST_LOOKS = 10_000


def close_port(port: Any, accepts: bool = True) -> None:
    """
    Close a listening port at once; with `accepts`, accept first what waits there.

    Where other processes have the socket, too, they go on with it.
    """
    port.stopReading()
    if accepts:
        waiting = poll()
        waiting.register(port.fileno(), POLLIN)
        for _ in range(MOST_LOOKS):
            if not waiting.poll(0):
                break
            port.doRead()
    # Nothing comes in between: who connects from now on is refused.
    port.socket.close()
    with suppress(FileNotFoundError):
        # The file of a unix socket may be gone already.
        port.connectionLost(connectionDone)
