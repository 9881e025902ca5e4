"""Whatever a file holds, ``check`` says what is wrong, and never shows a traceback."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.broken_files import ALL, BASE, write_files
from tests.cli.case import CommandCase

EXAMPLES = Path(__file__).resolve().parents[2] / "etc"

#: What operators get wrong, and what programs get wrong for them.
SEEDS = [
    path.read_bytes()
    for path in sorted(EXAMPLES.rglob("*.ini"))
    if path.stat().st_size < 20_000
]
PIECES = [
    b"\0", b"\xff", b"\xc3", b"%", b"%(x)s", b"${x}", b"[", b"]", b"=", b":", b";",
    b"\n", b"\r", b"\t", b" ", b"[registry *]\n", b"9" * 400, b"-1", b"\xe2\x80\xae",
    b"*", b"\\", b"/", b"::1", b"[::1]", b"\x1b[2J", b"\xf0\x9f\x90\xb3", b"{", b"(",
]  # fmt: skip


class BrokenFilesTests(CommandCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "regbroker.ini"

    def check_data(self, data: bytes) -> tuple[int, str]:
        """The exit status and what was complained of."""
        self.path.write_bytes(data)
        status, _, err = self.run_command("check", "-c", str(self.path))
        self.assertNotIn("Traceback", err)
        return status, err

    def test_family(self) -> None:
        """Each file of the family: an error with the words that are needed."""
        self.assertGreaterEqual(len(ALL), 130)
        write_files(self.directory)
        for name, broken in ALL.items():
            status, err = self.check_data(broken.data)
            self.assertEqual(status, 1, (name, err))
            for words in broken.words:
                self.assertIn(words, err, name)
            self.assertNotIn("hunter", err, name)
            # Nothing that a terminal would obey.
            self.assertNotRegex(err, r"[\x00-\x09\x0b-\x1f\x7f]", name)

    def test_pasted(self) -> None:
        """A key in the place of its file's name is shown to nobody; nor is a novel."""
        key = "-----BEGIN PRIVATE KEY-----\n  MIGHAgEAMBMG\n  -----END PRIVATE KEY-----"
        for option in (
            "[tls]\ncertificate = a.pem\nkey = ",
            "[upstream b]\nurl = https://b.test\nusername = b\npassword-file = ",
            "[accounts own]\nhtpasswd = ",
        ):
            status, err = self.check_data(f"{option}{key}\n".encode())
            self.assertEqual(status, 1)
            self.assertIn("PEM text itself; write the path of a file", err)
            self.assertNotIn("MIGH", err)
        for form in (b"[regbroker]\nlisten = %s", b"[%s]"):
            _, err = self.check_data(form % (b"a" * 9000))
            first = err.splitlines()[0]
            self.assertLess(len(first), 1100)
            self.assertIn("aaa ... ", first)

    def test_base(self) -> None:
        """What the family is made from is right."""
        whole = BASE.format(
            main="", rules="* = *", registry="", url="sandbox:", upstream="", more=""
        )
        self.assertEqual(self.check_data(whole.encode()), (0, ""))

    def test_paths(self) -> None:
        """A path that is no file's is told."""
        directory = str(self.directory)
        for path, words in (
            (directory, "Is a directory"),
            (f"{directory}/none.ini", "No such file"),
            (f"{directory}/a\0b", "NUL"),
            ("", "the path of the configuration is empty; write --config FILE"),
            ("x" * 5000, "name too long"),
            (f"{directory}/\udcff.ini", "No such file"),
            (f"{directory}/regbroker.ini/x", "o"),
        ):
            status, out, err = self.run_command("check", "-c", path)
            self.assertEqual((status, out), (1, ""), path)
            self.assertIn(words, err)

    def test_unreadable(self) -> None:
        """Files without the right to read them are named."""
        if os.geteuid() == 0:
            # Whoever may read all is told nothing.
            self.path.write_bytes(b"")
            self.path.chmod(0)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0)
            return
        self.path.write_bytes(b"")
        self.path.chmod(0)
        status, _, err = self.run_command("check", "-c", str(self.path))
        self.assertEqual(status, 1)
        self.assertIn("Permission denied", err)

    def test_strange_path(self) -> None:
        """A good file with a strange name is served; the name is shown as it can be."""
        whole = BASE.format(
            main="", rules="* = *", registry="", url="sandbox:", upstream="", more=""
        )
        path = self.directory / "\udcff\x1b.ini"
        path.write_text(whole)
        status, out, _ = self.run_command("check", "-c", str(path))
        self.assertEqual(status, 0)
        self.assertIn("\\udcff\\x1b.ini can be served", out)
        status, out, _ = self.run_command("check", "--json", "-c", str(path))
        self.assertEqual(status, 0)


class MutationTests(CommandCase):
    @settings(max_examples=max(150, settings().max_examples))
    @given(
        st.sampled_from(SEEDS),
        st.lists(
            st.tuples(
                st.integers(0, 4000),
                st.integers(0, 12),
                st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def test_anything(self, seed: bytes, changes: list[tuple[int, int, bytes]]) -> None:
        """Files that were right, with something cut out or put in."""
        for place, length, new in changes:
            place %= len(seed) + 1
            seed = seed[:place] + new + seed[place + length :]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "regbroker.ini"
            path.write_bytes(seed)
            status, out, err = self.run_command("check", "-c", str(path))
        self.assertIn(status, (0, 1))
        self.assertEqual("can be served" in out, status == 0)
        self.assertEqual("error: " in err, status == 1)

    def test_seeds(self) -> None:
        """There is something to begin with."""
        self.assertGreater(len(SEEDS), 3)
