"""What is measured: each scenario runs against one proxy and returns figures."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from tests.integration.peers.certificates import Authority
from tests.integration.peers.processes import Daemon, base_environment

from . import load
from .processes import cpu_seconds, forget_peak, peak_bytes, resident_bytes
from .proxies import FLOOR, PROXIES, Running, Task, regbroker_configuration
from .upstream import MIB, Stub

TOKEN = {"Authorization": "Bearer t"}

#: Requests before those that count: connections are open then, and caches full.
WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Setting:
    """How long and how large; smaller ones are for trying out."""

    seconds: int = 8
    mebibytes: int = 1024
    layer_bytes: int = 64 * 1024
    idle_clients: int = 1000
    herd: int = 200
    slow_seconds: int = 30


#: A figure's name, with its unit, and its value. The first is the one that is compared.
Figures = Mapping[str, float]


class Bench:
    """The upstreams, one for all proxies, and a place for each proxy in turn."""

    def __init__(self, directory: Path, setting: Setting) -> None:
        self.directory = directory
        self.setting = setting
        self.authority = Authority()
        self.root = str(directory / "root.pem")
        Path(self.root).write_bytes(self.authority.certificate_pem())
        self.stub = Stub(directory / "stub", self.authority, setting.layer_bytes)
        self._environment = base_environment(directory / "home")
        self._certificate = self.authority.issue("localhost", "127.0.0.1").write(
            directory, "sink"
        )
        self._others: list[Daemon] = []
        #: Where regbroker writes what took its time; None to leave it alone.
        self.profile: Path | None = None

    def stop(self) -> None:
        """End all that is still there."""
        for daemon in self._others:
            daemon.stop()
        self.stub.stop()

    @contextmanager
    def started(
        self,
        name: str,
        *,
        upstream: int = 0,
        tls: bool = True,
        workers: int = 1,
        keeps_manifests: bool = False,
    ) -> Iterator[Running]:
        """Start a proxy in front of the stub, or of what is at another port."""
        with TemporaryDirectory(dir=self.directory) as place:
            task = self.task(Path(place), upstream, tls, workers, keeps_manifests)
            running = PROXIES[name](task)
            try:
                yield running
            finally:
                running.stop()

    def task(
        self,
        place: Path,
        upstream: int = 0,
        tls: bool = True,
        workers: int = 1,
        keeps_manifests: bool = False,
    ) -> Task:
        """Return what a proxy is to do whose files are in a directory of its own."""
        return Task(
            directory=place,
            authority=self.authority,
            upstream=upstream or self.stub.port,
            tokens=upstream or self.stub.port,
            tls=tls,
            workers=workers,
            keeps_manifests=keeps_manifests,
            profile=self.profile,
        )

    @contextmanager
    def helper(self, module: str, *words: str | Path) -> Iterator[int]:
        """Run a module of this package that listens; yields its port."""
        daemon = Daemon(
            [sys.executable, "-m", f"bench.{module}", *words],
            self.directory / f"{module}.log",
            self._environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        try:
            yield int(daemon.wait_for(r"listening on (\d+)")[1])
        finally:
            daemon.stop()

    def sink(self, *words: str) -> AbstractContextManager[int]:
        """Run an upstream that takes uploads; yields its port."""
        return self.helper("sink", *self._certificate, *words)

    def pulled(self, running: Running, clients: int = 1) -> float:
        """Pull with so many clients at once; return the seconds that it took."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bench.pull"),
                *(str(running.port), self.root, "--clients", str(clients)),
            ],
            env=self._environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise AssertionError(f"a pull fails:\n{done.stderr}")
        return float(re.findall(r"seconds ([\d.]+)", done.stdout)[0])


def url(running: Running, target: str, tls: bool = True) -> str:
    """Return a URL at a proxy."""
    return f"{'https' if tls else 'http'}://localhost:{running.port}{target}"


def _requests(
    bench: Bench,
    running: Running,
    target: str,
    headers: Mapping[str, str],
    connections: int,
    refused: bool = False,
) -> Figures:
    where = url(running, target)
    load.many_requests(where, headers, connections, WARM_UP_SECONDS, refused)
    before = cpu_seconds(running.pid)
    done = load.many_requests(
        where, headers, connections, bench.setting.seconds, refused
    )
    spent = cpu_seconds(running.pid) - before
    return {
        "CPU ms / request": spent / done.count * 1000,
        "requests / s": done.count / done.seconds,
        "cores": spent / done.seconds,
        "p50 ms": done.median * 1000,
        "p99 ms": done.slowest_of_100 * 1000,
    }


def manifest(
    connections: int, workers: int = 1, keeps_manifests: bool = False
) -> Callable[[Bench, str], Figures]:
    """A manifest of 2 kB, again and again."""

    def measure(bench: Bench, name: str) -> Figures:
        with bench.started(
            name, workers=workers, keeps_manifests=keeps_manifests
        ) as running:
            before = bench.stub.manifest_gets()
            figures = _requests(
                bench, running, "/v2/team/app/manifests/1.0", TOKEN, connections
            )
            return {**figures, "GETs upstream": bench.stub.manifest_gets() - before}

    return measure


def ping(bench: Bench, name: str) -> Figures:
    """The 401 that every pull begins with."""
    with bench.started(name) as running:
        return _requests(bench, running, "/v2/", {}, 1, refused=True)


def token(bench: Bench, name: str) -> Figures:
    """The same token for the same client, again and again."""
    with bench.started(name) as running:
        before = bench.stub.token_requests()
        figures = _requests(
            bench,
            running,
            "/auth?service=up&scope=repository%3Ateam%2Fapp%3Apull",
            {"Authorization": "Basic YWxpY2U6cA=="},
            1,
        )
        return {
            **figures,
            "requests upstream": bench.stub.token_requests() - before,
        }


def down(streams: int, tls: bool = True) -> Callable[[Bench, str], Figures]:
    """Blobs of 1 GiB in all, by several clients at once."""

    def measure(bench: Bench, name: str) -> Figures:
        mebibytes = bench.setting.mebibytes // streams
        blob = bench.stub.big_blob(mebibytes * MIB)
        with bench.started(name, tls=tls) as running:
            where = url(running, f"/v2/team/app/blobs/{blob.digest}", tls)
            command = load.download(where, bench.root)
            return _bulk(running, [command] * streams, mebibytes * streams)

    return measure


def up(chunked: bool) -> Callable[[Bench, str], Figures]:
    """One upload of 1 GiB."""

    def measure(bench: Bench, name: str) -> Figures:
        file = bench.directory / "upload"
        with file.open("wb") as made:
            made.truncate(bench.setting.mebibytes * MIB)
        with (
            bench.sink() as port,
            bench.started(name, upstream=port) as running,
        ):
            where = url(running, "/v2/team/app/blobs/uploads/1")
            command = load.upload(where, bench.root, str(file), chunked)
            return _bulk(running, [command], bench.setting.mebibytes)

    return measure


def _bulk(
    running: Running, commands: Sequence[Sequence[str]], mebibytes: int
) -> Figures:
    forget_peak(running.pid)
    before = cpu_seconds(running.pid)
    seconds = load.together(commands)
    spent = cpu_seconds(running.pid) - before
    return {
        "CPU s / GiB": spent / mebibytes * 1024,
        "MiB / s": mebibytes / seconds,
        "peak MiB": peak_bytes(running.pid) / MIB,
    }


def pull(warm: bool) -> Callable[[Bench, str], Figures]:
    """A pull of twelve layers from an upstream 50 ms away, there and back."""

    def measure(bench: Bench, name: str) -> Figures:
        with (
            bench.helper("far", str(bench.stub.port), "0.025") as port,
            bench.started(name, upstream=port) as running,
        ):
            if warm:
                bench.pulled(running)
            return {"s": bench.pulled(running)}

    return measure


def herd(keeps_manifests: bool = False) -> Callable[[Bench, str], Figures]:
    """Two hundred clients that pull the same image at once."""

    def measure(bench: Bench, name: str) -> Figures:
        with bench.started(name, keeps_manifests=keeps_manifests) as running:
            tokens = bench.stub.token_requests()
            manifests = bench.stub.manifest_gets()
            forget_peak(running.pid)
            before = cpu_seconds(running.pid)
            seconds = bench.pulled(running, bench.setting.herd)
            return {
                "CPU s": cpu_seconds(running.pid) - before,
                "s": seconds,
                "peak MiB": peak_bytes(running.pid) / MIB,
                "token requests upstream": bench.stub.token_requests() - tokens,
                "GETs of manifests upstream": bench.stub.manifest_gets() - manifests,
            }

    return measure


def slow_uploads(bench: Bench, name: str) -> Figures:
    """Ten uploads of 1 GiB into an upstream that reads 1 MiB/s, for 30 s."""
    file = bench.directory / "upload"
    with file.open("wb") as made:
        made.truncate(1024 * MIB)
    with (
        bench.sink("--rate", str(MIB)) as port,
        bench.started(name, upstream=port) as running,
    ):
        where = url(running, "/v2/team/app/blobs/uploads/1")
        command = load.upload(where, bench.root, str(file), chunked=False)
        forget_peak(running.pid)
        idle = peak_bytes(running.pid)
        clients = [
            subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(10)
        ]
        try:
            time.sleep(bench.setting.slow_seconds)
            if any(client.poll() is not None for client in clients):
                raise AssertionError("an upload has ended too early")
            return {"MiB above idle": (peak_bytes(running.pid) - idle) / MIB}
        finally:
            for client in clients:
                client.kill()
                client.wait()


def idle(bench: Bench, name: str) -> Figures:
    """A thousand clients that are connected and say nothing."""
    count = bench.setting.idle_clients
    with bench.started(name) as running:
        bench.pulled(running)
        before = resident_bytes(running.pid)
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.idle"),
                *(str(running.port), bench.root, str(count)),
            ],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as clients:
            assert clients.stdout is not None and clients.stdin is not None
            if clients.stdout.readline() != "connected\n":
                raise AssertionError("not all clients could connect")
            held = resident_bytes(running.pid) - before
            clients.stdin.close()
        return {"KiB / client": held / count / 1024}


def start(bench: Bench, name: str) -> Figures:
    """From the command to the first answer."""
    began = time.monotonic()
    with bench.started(name) as running:
        load.together([["curl", "-sk", "-o", "/dev/null", url(running, "/v2/")]])
        return {"ms": (time.monotonic() - began) * 1000}


def answer(*words: str) -> Callable[[Bench, str], Figures]:
    """One of regbroker's commands that answer about a configuration, until its end."""

    def measure(bench: Bench, name: str) -> Figures:
        with TemporaryDirectory(dir=bench.directory) as place:
            configuration = regbroker_configuration(bench.task(Path(place)))
            began, before = time.monotonic(), getrusage(RUSAGE_CHILDREN)
            subprocess.run(
                [sys.executable, "-m", "regbroker", *words, "--config", configuration],
                stdout=subprocess.DEVNULL,
                # Its warnings: the certificates end soon.
                stderr=subprocess.DEVNULL,
                check=True,
            )
            ended, after = time.monotonic(), getrusage(RUSAGE_CHILDREN)
        spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return {"ms": (ended - began) * 1000, "CPU ms": spent * 1000}

    return measure


@dataclass(frozen=True)
class Scenario:
    """
    One row of the table; `title` says what it is, `measure` how it is measured.

    With `only`, that proxy alone can do it. With `has_floor`, a relay of bytes is
    measured beside the proxies.
    """

    name: str
    title: str
    measure: Callable[[Bench, str], Figures]
    only: str = ""
    has_floor: bool = False

    def is_for(self, proxy: str) -> bool:
        """Tell whether it is measured against a proxy."""
        if proxy == FLOOR:
            return self.has_floor
        return self.only in ("", proxy)


SCENARIOS = (
    Scenario("manifest-1", "manifest, 1 connection", manifest(1), has_floor=True),
    Scenario("manifest-32", "manifest, 32 connections", manifest(32), has_floor=True),
    Scenario(
        "manifest-32-workers", "manifest, 32 connections, 2 workers", manifest(32, 2)
    ),
    Scenario(
        "manifest-32-kept",
        "manifest, 32 connections, manifest-cache",
        manifest(32, keeps_manifests=True),
    ),
    Scenario("ping", "ping's 401", ping, has_floor=True),
    Scenario("token", "token, repeated", token, has_floor=True),
    Scenario("down-1", "1 GiB down, 1 stream", down(1), has_floor=True),
    Scenario("down-4", "1 GiB down, 4 streams", down(4), has_floor=True),
    Scenario(
        "down-plain",
        "1 GiB down, plain to the client",
        down(1, tls=False),
        has_floor=True,
    ),
    Scenario("up-length", "1 GiB up, with a length", up(chunked=False), has_floor=True),
    Scenario("up-chunked", "1 GiB up, chunked", up(chunked=True), has_floor=True),
    Scenario("pull-cold", "12-layer pull over 50 ms, cold", pull(warm=False)),
    Scenario("pull-warm", "12-layer pull over 50 ms, warm", pull(warm=True)),
    Scenario("herd", "200 clients pull at once", herd()),
    Scenario(
        "herd-kept",
        "200 clients pull at once, manifest-cache",
        herd(keeps_manifests=True),
    ),
    Scenario("slow-uploads", "10 uploads into a slow upstream", slow_uploads),
    Scenario("idle", "1,000 idle clients", idle, has_floor=True),
    Scenario("start", "start to first answer", start),
    Scenario("check", "regbroker check", answer("check"), "regbroker"),
    Scenario(
        "explain",
        "regbroker explain",
        answer("explain", "localhost/team/app"),
        "regbroker",
    ),
)
