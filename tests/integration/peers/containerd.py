"""A containerd of our own, and `ctr` to speak to it."""

from __future__ import annotations

from pathlib import Path

from .processes import Daemon, Finished, base_environment, require_programs, run
from .transcript import Transcript

CONFIGURATION = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{directory}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/opt"
"""

# How ctr says that its own channel to containerd broke off: gRPC in Debian's version
# loses a change of window now and then (grpc/grpc-go#5358). No registry causes it.
BROKEN_CHANNEL = "rpc error: code = Internal desc = unexpected EOF"
CHANNEL_ATTEMPTS = 5

# the server is what is asked when no host has it: never anybody but ours
HOSTS = """\
server = "https://{host}"
ca = "{certificate}"

[host."https://{host}{path}"]
capabilities = ["pull", "resolve", "push"]
override_path = {overrides}
ca = "{certificate}"
"""


class Containerd:
    """A running containerd with an empty store."""

    def __init__(
        self, directory: Path, authority_pem: bytes, transcript: Transcript
    ) -> None:
        require_programs("containerd", "ctr", root=True)
        self._hosts = directory / "hosts"
        self._hosts.mkdir(parents=True)
        self._certificate = directory / "ca.crt"
        self._certificate.write_bytes(authority_pem)
        self._environment = base_environment(directory)
        self._transcript = transcript
        self._address = directory / "containerd.sock"
        configuration = directory / "config.toml"
        configuration.write_text(CONFIGURATION.format(directory=directory))
        self._daemon = Daemon(
            ["containerd", "--config", configuration],
            directory / "containerd.log",
            self._environment,
        )
        self._daemon.wait_for("containerd successfully booted")

    def stop(self) -> None:
        """End it."""
        self._daemon.stop()

    def trust(self, host: str) -> None:
        """Accept our authority for a registry, in a `hosts.toml`."""
        self.mirror(host, host)

    def mirror(self, source: str, host: str, path: str = "") -> None:
        """
        Ask `host` for the images of a source, in the source's `hosts.toml`.

        `path` is what stands before their names there, in the place of ``/v2``.
        """
        directory = self._hosts / source
        directory.mkdir()
        text = HOSTS.format(
            host=host,
            path=path,
            overrides=str(bool(path)).lower(),
            certificate=self._certificate,
        )
        (directory / "hosts.toml").write_text(text)

    def ctr(self, *words: str | Path) -> Finished:
        """Run a `ctr images` command and keep what it saw.

        The command runs again when ctr loses its own containerd on the way.
        """
        for _attempt in range(CHANNEL_ATTEMPTS):
            done = run(
                ["ctr", "--debug", "--address", self._address, "images", *words],
                self._environment,
            )
            self._transcript.add(f"ctr images {words[0]}", done.output)
            if BROKEN_CHANNEL not in done.output:
                break
        return done

    def import_archive(self, archive: Path, base_name: str) -> Finished:
        """Load an `oci-archive`; images are called `BASE_NAME:TAG`."""
        return self.ctr(
            *("import", "--snapshotter", "native", "--base-name", base_name, archive)
        )

    def push(self, reference: str, image: str, *credentials: str) -> Finished:
        """Push an image of the store to `HOST/NAME:TAG`.

        `credentials` are ctr's own options: `--user NAME:PASSWORD` or
        `--refresh TOKEN`.
        """
        return self.ctr(
            *("push", "--hosts-dir", self._hosts, "--http-dump"),
            *(*credentials, reference, image),
        )

    def pull(self, reference: str, *credentials: str, dump: bool = True) -> Finished:
        """Pull `HOST/NAME:TAG` and unpack it; `dump` shows requests and replies."""
        options = ("--http-dump",) if dump else ()
        return self.ctr(
            *("pull", "--hosts-dir", self._hosts),
            *(*options, "--snapshotter", "native", *credentials, reference),
        )

    def digest_of(self, image: str) -> str:
        """The digest that the store has for an image; empty when it has none."""
        for line in self.ctr("list", f"name=={image}").stdout.splitlines():
            words = line.split()
            if words[0] == image:
                return words[2]
        return ""

    def remove(self, image: str) -> None:
        """Remove an image and what only it needed."""
        self.ctr("remove", "--sync", image)
