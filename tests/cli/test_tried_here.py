"""What this user could not do at this moment."""

from __future__ import annotations

import socket
from pathlib import Path

from regbroker.assembly.loading import load_config
from regbroker.cli.tried_here import problems_here
from tests.cli.case import CONFIG, CommandCase


class TriedHereTests(CommandCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "regbroker.ini"

    def problems(self, *main: str) -> list[str]:
        """The problems of a configuration with these options."""
        lines = "\n".join(["[regbroker]", "listen = tcp:0", *main])
        self.path.write_text(f"{lines}\n{CONFIG}")
        return list(problems_here(load_config(self.path)))

    def test_nothing(self) -> None:
        """A list that is not there yet, and a state directory that can be made."""
        self.assertEqual(self.problems("robot-token-list = tokens"), [])
        (self.directory / "tokens").write_text("")
        self.assertEqual(self.problems("robot-token-list = tokens"), [])
        self.assertEqual(
            {path.name for path in self.directory.iterdir()},
            {"regbroker.ini", "tokens"},
        )

    def test_listeners(self) -> None:
        """Each that could not be opened has its option; so have relative paths."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            line = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            (problem,) = self.problems(f"admin-listen = {line}")
            start = f"[regbroker] admin-listen: {line}: port "
            self.assertTrue(problem.startswith(start), problem)
            self.path.write_text(f"[regbroker]\nlisten = {line}\n{CONFIG}")
            (problem,) = problems_here(load_config(self.path))
            self.assertTrue(
                problem.startswith(f"[regbroker] listen: {line}: "), problem
            )
        (problem,) = self.problems("admin-listen = unix:run/s")
        self.assertIn("write the whole path, as unix:/run/regbroker/s", problem)

    def test_list(self) -> None:
        """A list in which no token can be noted: what it is, and what to do."""
        for name, reason in (
            (".", "Is a directory"),
            ("none/tokens", "No such file or directory"),
            ("regbroker.ini/tokens", "Not a directory"),
        ):
            (problem,) = self.problems(f"robot-token-list = {name}")
            start = f"[regbroker] robot-token-list: {self.directory / name}"
            self.assertTrue(problem.startswith(start), problem)
            self.assertIn(f" cannot be written: {reason}; ", problem)
            self.assertIn("make its directory, writable", problem)

    def test_key_in_memory(self) -> None:
        """Where no key can be kept, and none is needed: what that means."""
        (self.directory / "file").write_text("")
        (problem,) = self.problems("state-directory = file")
        self.assertIn(f"state-directory: {self.directory}/file: Not a dir", problem)
        self.assertIn("a key in memory takes its place", problem)

    def test_strict(self) -> None:
        """What is about this user is a warning that is not about the file."""
        self.problems("state-directory = regbroker.ini", "robot-token-list = .")
        for arguments, count in ((["--strict"], 2), (["--quiet"], 0)):
            status, _, err = self.run_command("check", "-c", str(self.path), *arguments)
            self.assertEqual((status, err.count("warning: ")), (0, count), err)
