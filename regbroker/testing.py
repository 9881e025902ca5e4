"""
Test doubles for applications that embed regbroker, or talk to registries.

`SandboxService` is a small registry with a token service of its own, in this process
and on the loopback interface. It is what ``url = sandbox:`` starts.
"""

from regbroker.sandbox import SandboxService

__all__ = ["SandboxService"]
