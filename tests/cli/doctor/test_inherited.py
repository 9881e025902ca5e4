"""Sockets of systemd's, as /proc tells of them."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.doctor.inherited import Listening, inherited

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 {inode} 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:9000 01 0:0 00:0 0 0 0 71 1 0 100 0 0 10 0
"""
TCP6 = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000000000000000000001000000:01BB 0:0 0A 0:0 00:0 0 0 0 72 1 0 100 0
"""
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000: 00000002 00000000 00010000 0001 01 73 /run/registry with blanks.sock
0000: 00000002 00000000 00010000 0001 01 74
"""


class InheritedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.proc = Path(self.mktemp()).absolute()

    def process(
        self, number: int = 12, inode: int = 70, file: str = "r.ini", **changed: str
    ) -> None:
        """A process that was handed four sockets, of which one listens elsewhere."""
        directory = self.proc / str(number)
        for each in ("fd", "net"):
            (directory / each).mkdir(parents=True)
        values = {
            "LISTEN_PID": str(number),
            "LISTEN_FDS": "4",
            "LISTEN_FDNAMES": "web:six:local:busy",
        } | changed
        data = "\0".join(f"{key}={value}" for key, value in values.items())
        (directory / "environ").write_text(data)
        words = ("python3", "-m", "regbroker", "serve", "--config", file, "")
        (directory / "cmdline").write_text("\0".join(words))
        (directory / "cwd").symlink_to(self.proc)
        for at, socket in enumerate((inode, 72, 73, 71)):
            (directory / "fd" / str(3 + at)).symlink_to(f"socket:[{socket}]")
        (directory / "net" / "tcp").write_text(TCP.format(inode=inode))
        (directory / "net" / "tcp6").write_text(TCP6)
        (directory / "net" / "unix").write_text(UNIX)

    def found(
        self, index: str | None = None, name: str | None = None, file: str = "r.ini"
    ) -> Listening | None:
        """Where a socket listens."""
        return inherited(index, name, self.proc / file, self.proc)

    def test_by_name_and_index(self) -> None:
        """IPv4, IPv6 and paths; a socket that does not listen is none."""
        self.process()
        socket = Listening(path=PurePath("/run/registry with blanks.sock"))
        for at, (name, place) in enumerate(
            {
                "web": Listening("127.0.0.1", 8080),
                "six": Listening("::1", 443),
                "local": socket,
                "busy": None,
            }.items()
        ):
            self.assertEqual(self.found(name=name), place)
            self.assertEqual(self.found(index=str(at)), place)
        self.assertIsNone(self.found(index="4"))
        self.assertIsNone(self.found(name="other"))

    def test_nameless(self) -> None:
        """A unix socket without a name is nowhere."""
        self.process(inode=74)
        (self.proc / "12" / "net" / "tcp").write_text("")
        self.assertIsNone(self.found(index="0"))

    def test_others(self) -> None:
        """Descriptors that were handed to somebody else's parent are not ours."""
        self.process(LISTEN_PID="11")
        self.assertIsNone(self.found(index="0"))

    def test_without_ipv6(self) -> None:
        """A kernel without IPv6 has no table of it."""
        self.process()
        (self.proc / "12" / "net" / "tcp6").unlink()
        self.assertEqual(self.found(index="0"), Listening("127.0.0.1", 8080))
        self.assertIsNone(self.found(index="1"))

    def test_several(self) -> None:
        """Of several, the one with the same file; else nobody knows."""
        self.process()
        self.process(13, 74, "other.ini")
        (self.proc / "13" / "net" / "tcp").write_text(
            TCP.format(inode=74).replace("1F90", "1F99")
        )
        self.assertEqual(self.found(index="0"), Listening("127.0.0.1", 8080))
        self.assertEqual(
            self.found(index="0", file="other.ini"), Listening("127.0.0.1", 8089)
        )
        self.assertIsNone(self.found(index="0", file="third.ini"))
