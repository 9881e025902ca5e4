"""
A small registry with its own token service, in this process, on loopback.

It is what regbroker is tried out on and tested against: it keeps what is
pushed in one directory, knows its users from a mapping of names to passwords,
and speaks enough of OCI distribution-spec 1.1 for docker, podman, skopeo,
crane, oras and containerd. It is not for anything that matters: plain HTTP,
no quotas, disk work on the reactor's thread.

Paths, names, tokens, rights and errors are those of a registry with local accounts.
`SandboxService` puts them together with what is only here:

- `users`: the accounts;
- `storage`, `manifests`: what is on disk, without Twisted;
- `repositories`, `blobs`: the same over HTTP, in the place of a relay;
- `refusals`: errors that only a registry has.
"""

from regbroker.sandbox.service import SandboxService

__all__ = ["SandboxService"]
