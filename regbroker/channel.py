"""
Sites whose requests are handed over when their headers are in, for those who embed.

The implementation is `regbroker.transport.server.site`.
"""

from __future__ import annotations

from regbroker.transport.server.site import StreamingSite
from regbroker.transport.server.streaming_request import StreamingRequest

__all__ = ["StreamingRequest", "StreamingSite"]
