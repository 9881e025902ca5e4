"""Whether listeners can be opened at this moment."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from regbroker.cli import open_listeners
from regbroker.cli.open_listeners import problems_with_listeners
from regbroker.settings.endpoints import listener
from tests.cli.case import CONFIG, CommandCase


class OpenListenersTests(CommandCase):
    def setUp(self) -> None:
        # The path of a socket is short.
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(os.rmdir, self.directory)

    def problems(self, *lines: str, admin: str = "") -> list[str]:
        """What is said of these lines."""
        config = SimpleNamespace(
            listen=tuple(map(listener, lines)),
            admin_listen=(listener(admin),) if admin else (),
        )
        return list(problems_with_listeners(cast(Any, config)))

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
        for commands, words in (
            (["/usr/sbin/nginx -g x"], "'/usr/sbin/nginx -g x' listens there"),
            (["python3 -m regbroker serve"], "regbroker itself runs there"),
            ([], "if that is not regbroker itself, 'ss -ltnp'"),
        ):
            self.patch(open_listeners, "holders", lambda port, c=commands: c)
            (problem,) = self.problems(line)
            self.assertTrue(
                problem.startswith(
                    f"[regbroker] listen: {line}: port {port} is taken: "
                )
            )
            self.assertIn(words, problem)
        (problem,) = self.problems(admin=line)
        self.assertIn("[regbroker] admin-listen: ", problem)

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
        # It is left of one that has ended.
        self.assertEqual(self.problems(f"unix:{path}"), [])
        path.unlink()

    def test_relative(self) -> None:
        """Where a path without a slash in front starts, nobody here can know."""
        (problem,) = self.problems("unix:run/s:mode=660")
        self.assertIn("write the whole path, as unix:/run/regbroker/s", problem)

    def test_directory(self) -> None:
        """One that this user may not write into."""
        self.patch(os, "access", lambda path, mode: False)
        (problem,) = self.problems(f"unix:{self.directory}/s")
        self.assertIn("may not make a socket in", problem)

    def test_check(self) -> None:
        """It is a warning, and does not count with --strict."""
        port = self.taken()
        path = self.write(
            f"[regbroker]\nlisten = tcp:{port}:interface=127.0.0.1\n" + CONFIG
        )
        status, out, err = self.run_command("check", "--strict", "-c", path)
        self.assertEqual(status, 0, err)
        self.assertIn("can be served (1 warning)", out)
        self.assertIn(f"warning: [regbroker] listen: tcp:{port}:", err)
