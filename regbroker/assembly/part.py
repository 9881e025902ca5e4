"""
A service alone in its process, or as a part of one that several processes are.

What several processes must have in common comes with the part. Alone, it is made here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from regbroker.accounts.throttling import Throttling, local_throttling
from regbroker.settings.config import Config
from regbroker.transport.listening.listeners import Listener
from regbroker.transport.tls.session_tickets import TicketKeys

if TYPE_CHECKING:
    # Imported where it is built: not every configuration needs it.
    from regbroker.admin.others import Others


@dataclass(frozen=True, kw_only=True)
class Part:
    """
    What one process has with others.

    `secret` is the same in all of them, and is nowhere else. `workers` is the number of
    those that serve clients: limits of the configuration are for them together. A part
    that does not serve (`serves`) opens the sockets, and leaves connections to the
    others; `others` has what these have counted. `tickets` are the keys of TLS sessions
    that resume. `throttling` returns who counts wrong passwords, by the name of the
    accounts.
    """

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    workers: int = 1
    serves: bool = True
    others: Others | None = None
    throttling: Callable[[str], Throttling] = local_throttling
    tickets: TicketKeys = field(
        default_factory=lambda: TicketKeys(time.monotonic), repr=False
    )

    @property
    def is_worker(self) -> bool:
        """Whether another process is in front of this one."""
        return self.serves and self.workers > 1

    def key(self, *purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose, the same in every process."""
        text = "\0".join(purpose).encode("utf-8", "surrogatepass")
        return hmac.digest(self.secret, text, hashlib.sha256)

    def share(self, limit: int | None) -> int | None:
        """Return what one process has of a limit for all, rounded up."""
        return None if limit is None else -(-limit // self.workers)

    def config(self, config: Config) -> Config:
        """Return the configuration of this process."""
        config = config.in_use()
        if not self.is_worker:
            return config
        return replace(
            config,
            max_connections=self.share(config.max_connections),
            max_connections_per_address=self.share(config.max_connections_per_address),
        )

    def admin_listen(self, config: Config) -> tuple[Listener, ...]:
        """Return the admin listeners of this process: workers only count."""
        return () if self.is_worker else config.admin_listen
