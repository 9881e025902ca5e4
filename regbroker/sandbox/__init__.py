"""
A little registry with its own token service, in this process, on loopback.

It is what regbroker is tried out on and tested against: it keeps what is
pushed in one directory, knows its users from a mapping of names to passwords,
and speaks enough of OCI distribution-spec 1.1 for docker, podman, skopeo,
crane, oras and containerd. It is not for anything that matters: plain HTTP,
no quotas, disk work on the reactor's thread.

`SandboxService` is the whole of it; the modules below it are

- `storage`, `uploads`, `manifests`, `digests`: what is on disk, without Twisted;
- `tokens`: who may do what, and for how long;
- `token_endpoint`, `registry`, `transfers` and `calls`: the same over HTTP;
- `refusals`: errors that only a registry has.
"""

from regbroker.sandbox.service import SandboxService

__all__ = ["SandboxService"]
