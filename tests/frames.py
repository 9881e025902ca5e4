"""
How deep a pull goes before it is on the wire: run ``python -m tests.frames``.

One plain GET of a manifest is relayed, or with ``--push`` one PUT: the upstream's
accounts, one upstream, no TLS, both connections open already. Client, regbroker and
upstream are in this process and speak over loopback sockets, with Twisted's own
reactor. `sys.setprofile` sees every Python function that is called.

Counted from the call of regbroker's ``dataReceived`` with the client's request. A
call is each time that a frame of regbroker's is entered: a coroutine or generator that
goes on counts again. Nothing is asserted: the figures of docs/architecture.md come
from here. With ``--frames`` the frames are printed, with ``--calls`` the functions.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater, react

import regbroker
from regbroker.service import build_service, listeners
from regbroker.settings.ini import parse_config
from regbroker.transport.flow.direct_writes import send_now
from regbroker.web.forward import BLOBS_AT_ONCE
from tests.scripted import Call, ScriptedUpstream, response
from tests.wire import RawClient

PACKAGE = str(Path(regbroker.__file__).parent)

#: Requests before the one that is counted: what is made once is made by then.
WARM_UP = 5

TARGET = "/v2/team/app/manifests/1.0"
BODY = b'{"schemaVersion":2}'

INI = """
[regbroker]
listen = tcp:0:interface=127.0.0.1
state-directory = state
[registry *]
upstream = up
namespaces = team = acme_team
[upstream up]
url = {url}
"""

#: What writes to a socket: Twisted's transport, and what goes past it.
WRITES = {
    FileDescriptor.write.__code__,
    FileDescriptor.writeSequence.__code__,
    send_now.__code__,
}


def is_ours(frame: FrameType) -> bool:
    """Tell whether a frame is regbroker's own."""
    return frame.f_code.co_filename.startswith(PACKAGE)


def name_of(frame: FrameType) -> str:
    """A frame for people."""
    path = Path(frame.f_code.co_filename)
    where = path.relative_to(PACKAGE) if is_ours(frame) else path.name
    function = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    return f"{'' if is_ours(frame) else '  '}{where}:{frame.f_lineno} {function}"


@dataclass
class Profile:
    """What happens from the client's bytes on, as the interpreter sees it."""

    #: The ports of the upstream and of regbroker.
    upstream: int
    server: int
    calls: Counter[str] = field(default_factory=Counter)
    #: The frames from ``dataReceived`` to the write upstream, outermost first.
    frames: list[str] = field(default_factory=list)
    ours_deep: int = 0
    calls_to_wire: int = 0
    calls_to_reply: int = 0
    turns_to_wire: int = 0
    begun: bool = False
    _turn: FrameType | None = None

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note one event of `sys.setprofile`."""
        if event != "call":
            return
        if not self.begun:
            if not is_ours(frame) or frame.f_code.co_name != "dataReceived":
                return
            self.begun = True
        if is_ours(frame):
            self.calls[name_of(frame).strip()] += 1
        elif not self.frames and frame.f_code.co_name == "doIteration":
            self.turns_to_wire += 1
        if frame.f_code in WRITES:
            self._written(frame)

    def _written(self, frame: FrameType) -> None:
        given = frame.f_locals
        transport: Any = given["self"] if "self" in given else given["transport"]
        if not self.frames and transport.getPeer().port == self.upstream:
            self.calls_to_wire = self.calls.total()
            stack: list[FrameType] = []
            step = frame
            while step.f_back is not None and not _reads_socket(step):
                stack.append(step)
                step = step.f_back
            while not is_ours(stack[-1]):
                stack.pop()
            self.frames = [name_of(each) for each in reversed(stack)]
            self.ours_deep = sum(map(is_ours, stack))
        elif transport.getHost().port == self.server:
            self.calls_to_reply = self.calls.total()


def _reads_socket(frame: FrameType) -> bool:
    return frame.f_code.co_name == "_dataReceived" and not is_ours(frame)


async def measure(loop: Any, directory: Path) -> Profile:
    """Serve, warm up, and return the profile of one pull."""
    reply = response(
        200,
        "Content-Type: application/vnd.oci.image.manifest.v1+json",
        "Docker-Content-Digest: sha256:" + "a1" * 32,
        body=BODY,
    )
    asked: list[Call] = []

    def answer(call: Call) -> bytes:
        asked.append(call)
        return reply

    upstream = ScriptedUpstream()
    upstream.handler = answer
    upstream.start()
    config = parse_config(
        INI.format(url=upstream.url), PurePath(directory), lambda _: None
    )
    service = build_service(config, loop)
    service.privilegedStartService()
    service.startService()
    ask = push if "--push" in sys.argv else pull
    while not upstream.pings:
        await deferLater(loop, 0)
    port = int(listeners(service)[0].url.rpartition(":")[2])
    endpoint = TCP4ClientEndpoint(loop, "127.0.0.1", port)
    client: Any = await endpoint.connect(Factory.forProtocol(RawClient))
    for _ in range(WARM_UP):
        await ask(client)
    # A manifest has connections opened for its blobs.
    while ask is pull and upstream.connected < BLOBS_AT_ONCE:
        await deferLater(loop, 0)
    connections = len(upstream.wires)
    profile = Profile(upstream.port, port)
    sys.setprofile(profile)
    try:
        await ask(client)
    finally:
        sys.setprofile(None)
    if len(upstream.wires) != connections or len(asked) != WARM_UP + 1:
        raise AssertionError("the pull did not go over a connection that was open")
    client.close()
    await client.end()
    await service.stopService()
    await upstream.stop()
    return profile


async def pull(client: RawClient) -> None:
    """Get the manifest."""
    client.request("GET", TARGET, "Host: registry.test", "User-Agent: docker/28.0")
    message = await client.reply("GET")
    if message.status != 200 or message.body != BODY:
        raise AssertionError(message)


async def push(client: RawClient) -> None:
    """Put the manifest."""
    client.request("PUT", TARGET, "User-Agent: docker/28.0", body=BODY)
    message = await client.reply("PUT")
    if message.status != 200 or message.body != BODY:
        raise AssertionError(message)


def report(profile: Profile) -> None:
    """Print what was counted."""
    version = ".".join(map(str, sys.version_info[:2]))
    method = "PUT" if "--push" in sys.argv else "GET"
    print(f"one {method} of a manifest, both connections warm, Python {version}")
    deep = len(profile.frames)
    print(f"{profile.ours_deep:6} frames of regbroker's own, one inside the other,")
    print(f"{deep:6} with Twisted's, where the request is written to the upstream")
    print(f"{profile.turns_to_wire:6} turns of the reactor before that")
    print(f"{profile.calls_to_wire:6} calls of regbroker's own until then")
    print(f"{profile.calls_to_reply:6} until the last byte of the reply is written")
    print(f"{profile.calls.total():6} until the client has it all")
    if "--frames" in sys.argv:
        print("\nthe frames; Twisted's are indented")
        print("\n".join(profile.frames))
    if "--calls" in sys.argv:
        print("\nthe calls")
        for name, count in profile.calls.most_common():
            print(f"{count:4} {name}")


def main() -> None:
    """Measure and print."""

    async def run(loop: Any) -> None:
        with TemporaryDirectory() as directory:
            report(await measure(loop, Path(directory)))

    react(lambda loop: Deferred.fromCoroutine(run(loop)))


if __name__ == "__main__":
    main()
