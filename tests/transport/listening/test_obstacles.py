"""What keeps listeners from being opened at this moment."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.endpoints import listener
from regbroker.transport.listening import obstacles
from regbroker.transport.listening.obstacles import obstacle, why_refused


class ObstaclesTests(SynchronousTestCase):
    def setUp(self) -> None:
        # The path of a socket is short.
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(os.rmdir, self.directory)

    def problems(self, *lines: str) -> list[str]:
        """What is said of these lines."""
        return list(filter(None, [obstacle(listener(line)) for line in lines]))

    def taken(self) -> int:
        """A port on which this process listens."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        port: int = server.getsockname()[1]
        return port

    def test_free(self) -> None:
        """What is free, or opened by others, is no problem, and stays free."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        path = self.directory / "s"
        lines = (
            f"tls:{port}:interface=127.0.0.1",
            "tcp:0",
            f"unix:{path}",
            "systemd:domain=INET:index=0",
        )
        self.assertEqual(self.problems(*lines), [])
        self.assertEqual(self.problems(*lines), [])
        self.assertFalse(path.exists())

    def test_taken(self) -> None:
        """The listener is named, and who has the port."""
        port = self.taken()
        line = f"tcp:{port}:interface=127.0.0.1"
        for found, words in (
            ({1: "/usr/sbin/nginx -g x"}, "'/usr/sbin/nginx -g x' listens there; end"),
            ({1: "python3 -m regbroker serve"}, "regbroker itself runs there"),
            ({os.getpid(): "x"}, "this regbroker itself listens there; restart it"),
            ({}, "if that is not regbroker itself, 'ss -ltnp'"),
        ):
            self.patch(obstacles, "holders", lambda port, found=found: found)
            (problem,) = self.problems(line)
            self.assertTrue(problem.startswith(f"port {port} is taken: "), problem)
            self.assertIn(words, problem)

    def test_not_ours(self) -> None:
        """Addresses of other machines, and names that are none."""
        (problem,) = self.problems("tcp:8080:interface=203.0.113.7")
        self.assertIn("no interface of this machine has the address", problem)
        # The system chooses the port, and not the address.
        (problem,) = self.problems("tls:0:interface=203.0.113.7")
        self.assertIn("no interface of this machine has the address", problem)
        (problem,) = self.problems("tcp:0:interface=no_such_host")
        self.assertIn("no_such_host is no address of this machine", problem)

    def test_low_port(self) -> None:
        """Without the right to open it, what gives the right is named."""

        def bind(self: socket.socket, address: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        class Trial(socket.socket):
            pass

        Trial.bind = bind  # type: ignore[method-assign,assignment]
        self.patch(socket, "socket", Trial)
        (problem,) = self.problems("tls:443")
        self.assertIn("may not open port 443", problem)
        self.assertIn("CAP_NET_BIND_SERVICE", problem)

    def test_sockets(self) -> None:
        """Directories that are missing, other files, and sockets in use."""
        path = self.directory / "s"
        (problem,) = self.problems(f"unix:{self.directory}/none/s")
        self.assertIn(f"there is no directory {self.directory}/none", problem)
        path.write_text("")
        self.assertIn("is no socket", self.problems(f"unix:{path}")[0])
        path.unlink()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            self.assertIn("somebody listens there", self.problems(f"unix:{path}")[0])
            lock = Path(f"{path}.lock")
            lock.symlink_to(str(os.getpid()))
            self.assertIn("this regbroker itself", self.problems(f"unix:{path}")[0])
            lock.unlink()
        # It is left of one that has ended.
        self.assertEqual(self.problems(f"unix:{path}"), [])
        path.unlink()

    def test_directory(self) -> None:
        """One that this user may not write into."""
        self.patch(os, "access", lambda path, mode: False)
        (problem,) = self.problems(f"unix:{self.directory}/s")
        self.assertIn("may not make a socket in", problem)

    def test_owner(self) -> None:
        """Only root gives files to others, and to groups that it is not in."""
        name, group = (
            pwd.getpwuid(os.getuid()).pw_name,
            grp.getgrgid(os.getgid()).gr_name,
        )
        line = f"unix:{self.directory}/s"
        others = (f"{line}:user={name}", f"{line}:group={group}")
        self.assertEqual(self.problems(*others), [])
        self.patch(os, "geteuid", lambda: 12345)
        self.patch(os, "getegid", lambda: 12345)
        self.patch(os, "getgroups", list)
        self.patch(os, "access", lambda path, mode: True)
        (user, of_group) = self.problems(*others)
        self.assertIn("take user= out", user)
        self.assertIn(f"this user is not in the group {group}", of_group)

    def test_link_local(self) -> None:
        """An address of one link needs the link, whatever else is wrong with it."""
        found = listener(r"tcp:0:interface=fe80\:\:1")
        words = why_refused(found, OSError(errno.EINVAL, "Invalid argument"))
        self.assertIn(r"write which, as in interface=fe80\:\:1%eth0", str(words))

    def test_why_refused(self) -> None:
        """What is said of an error that has come already, if there is more to say."""
        full = OSError(errno.EMFILE, "Too many open files")
        path = f"{self.directory}/none/s"
        for line, error, words in (
            ("tcp:8443", full, None),
            ("tls:443", PermissionError(errno.EACCES, "no"), "CAP_NET_BIND_SERVICE"),
            (f"unix:{path}", FileNotFoundError(2, "no"), "there is no directory"),
            (f"unix:{self.directory}/s", full, None),
            (f"unix:{path}", ValueError("its owner cannot be set"), None),
            ("systemd:domain=INET:index=0", ValueError("no"), None),
        ):
            said = why_refused(listener(line), error)
            if words is None:
                self.assertIsNone(said, line)
            else:
                self.assertIn(words, str(said))
