"""The ``regbroker`` command."""

import io
import os
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.main import main
from regbroker.transport.tls import self_signed

SHIPPED = Path(__file__).resolve().parents[2] / "etc" / "regbroker.ini"

SEVERAL = """\
[registry *]
upstream = hub, mirror
namespaces =
    * = *
    * = mirror:hub/*
[upstream hub]
url = https://registry-1.docker.io
default-namespace = library
[upstream mirror]
url = http://mirror.example.com:8080/base/
"""

CONFIG = """
[registry registry.example.com]
upstream = aliyun
namespaces =
    team = acme_team
[upstream aliyun]
url = https://registry.cn-shenzhen.aliyuncs.com
"""


class CommandTests(SynchronousTestCase):
    """What is printed where, and the exit status."""

    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit status, output and errors."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(arguments)
        return status, out.getvalue(), err.getvalue()

    def write(self, text: str) -> str:
        """Return the path of a new file with this text."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def test_check_shipped(self) -> None:
        """The configuration as shipped can be served."""
        status, out, err = self.run_command("check", "-c", str(SHIPPED))
        self.assertEqual((status, err), (0, ""))
        self.assertIn("can be served", out)

    def test_check_problems(self) -> None:
        """Every problem is a line of its own, on the error stream."""
        path = self.write("[regbroker]\nlisten = x\n[tls]\ncertificate = none.pem\n")
        status, out, err = self.run_command("check", "-c", path)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("[regbroker] listen: ", err)
        self.assertIn("none.pem cannot be read: No such file or directory", err)

    def test_check_passwords(self) -> None:
        """What cannot be a password is said at once, and not told."""
        password = Path(self.mktemp())
        for contents, problem in (
            (b"", ": empty; "),
            (b"s3cret\0", ": no text: "),
            (b"s3cret\xff", ": not UTF-8"),
            (b"x" * 100_000, ": larger than"),
        ):
            password.write_bytes(contents)
            err = self.refused(f"username = a\npassword-file = {password.absolute()}")
            self.assertIn(f"[upstream up] password-file: {password.absolute()}", err)
            self.assertIn(problem, err)
            self.assertNotIn("s3cret", err)
        password.unlink()
        os.mkfifo(password)
        err = self.refused(f"username = a\npassword-file = {password.absolute()}")
        self.assertIn("no regular file", err)
        password.unlink()
        password.write_bytes(b'{\n  "type": "service_account"\n}\n')
        status, _, err = self.run_command(
            "check",
            "-c",
            self.with_account(
                f"username = _json_key\npassword-file = {password.absolute()}"
            ),
        )
        self.assertEqual((status, err), (0, ""))

    def test_check_environment(self) -> None:
        """A variable that is not there is said at once."""
        err = self.refused("username = a\npassword-env = NO_SUCH_VARIABLE_HERE")
        self.assertIn("[upstream up] password-env: the environment has no NO_", err)
        for wrong in (
            "username = a\npassword-env = NOT-A-NAME",
            "password-env = PATH",
            "username = a\npassword-env = PATH\npassword-file = x",
            "username = a:b\npassword-env = PATH",
            "username = a",
            "credential-helper = h\ncredential-server = x y",
        ):
            self.assertIn("[upstream up] ", self.refused(wrong))

    def with_account(self, options: str) -> str:
        """A configuration with an account of our own."""
        return self.write(
            "[regbroker]\nlisten = tcp:0\n[registry *]\nupstream = up\n"
            f"namespaces = * = *\nanonymous = shared\n[upstream up]\nurl = https://up.test\n{options}\n"
        )

    def refused(self, options: str) -> str:
        """What is said of a wrong account."""
        status, _, err = self.run_command("check", "-c", self.with_account(options))
        self.assertEqual(status, 1)
        return err

    def test_check_warns(self) -> None:
        """What can be served and may not be meant is said, and is no failure."""
        text = (
            "[regbroker]\nlisten = tcp:0\n[registry *]\nupstream = up\n"
            "namespaces = * = *\naccounts = own\nchallenge = {challenge}\n"
            "[accounts own]\nhtpasswd = users\n[access own]\n{who} = **: pull\n"
            "[upstream up]\nurl = https://up.test\n"
        )
        for challenge, who, warned in (
            ("basic", "anonymous", True),
            ("basic", "users", False),
            ("bearer", "anonymous", False),
        ):
            path = self.write(text.format(challenge=challenge, who=who))
            Path(path).with_name("users").write_text("")
            status, out, err = self.run_command("check", "-c", path)
            self.assertEqual(status, 0, err)
            self.assertIn("can be served", out)
            said = "warning: [registry *] challenge: with 'challenge = basic' docker"
            self.assertEqual(err.startswith(said), warned, err)

    def test_check_without_effect(self) -> None:
        """What nothing uses is a warning each, and the exit status is 0."""
        path = self.with_account(
            "credential-server = x\n[upstream spare]\nurl = sandbox:"
        )
        status, out, err = self.run_command("check", "-c", path)
        self.assertEqual(status, 0)
        self.assertIn("can be served", out)
        self.assertEqual(
            [line.partition(": ")[2].partition(": ")[0] for line in err.splitlines()],
            [
                "[registry *] anonymous",
                "[upstream up] credential-server",
                "[upstream spare]",
            ],
        )
        self.assertEqual(err.count("warning: "), 3)

    def test_check_state_directory(self) -> None:
        """What cannot be kept there is said, as when serving; nothing is made."""
        directory = Path(self.mktemp()).resolve()
        directory.mkdir()
        (directory / "file").write_text("")
        (directory / "link").symlink_to(directory / "nowhere")
        accounts = (
            "accounts = own\n[accounts own]\nhtpasswd = file\n"
            "[access own]\nusers = **: pull\n"
        )
        certificate, key = "the self-signed certificate", "the key that signs tokens"
        for state, listen, more, kept in (
            ("file", "tls:0", "", certificate),
            ("file/state", "tls:0", "", certificate),
            ("link", "tls:0", "", certificate),
            ("file", "tcp:0", accounts, key),
            ("file", "tcp:0", "", ""),
            ("not/made/yet", "tls:0", accounts, ""),
            (".", "tls:0", accounts, ""),
        ):
            path = directory / "regbroker.ini"
            path.write_text(
                f"[regbroker]\nlisten = {listen}\nstate-directory = {state}\n"
                "[upstream up]\nurl = https://up.test\n"
                f"[registry *]\nupstream = up\nnamespaces = * = *\n{more}"
            )
            status, _, err = self.run_command("check", "-c", str(path))
            self.assertEqual(status, 1 if kept else 0, (state, err))
            if kept:
                start = f"[regbroker] state-directory: {directory / state}: "
                (line,) = err.splitlines()
                self.assertTrue(line.startswith(start), line)
                self.assertTrue(line.endswith(f"; {kept} is kept there"), line)
            self.assertEqual(
                {each.name for each in directory.iterdir()},
                {"file", "link", "regbroker.ini"},
            )

    def test_check_state_that_is_there(self) -> None:
        """Where nothing has to be made, the directory may be read-only."""
        directory = Path(self.mktemp()).resolve()
        directory.mkdir()
        path = directory / "regbroker.ini"
        path.write_text(
            "[regbroker]\nlisten = tls:0\nstate-directory = .\n"
            "[upstream up]\nurl = https://up.test\n"
            "[registry a.test]\nupstream = up\nnamespaces = * = *\n"
        )
        made: list[object] = []

        def mkdtemp(**_: object) -> str:
            made.append(None)
            raise PermissionError(13, "Permission denied")

        self.patch(tempfile, "mkdtemp", mkdtemp)
        status, _, err = self.run_command("check", "-c", str(path))
        self.assertEqual((status, len(made)), (1, 1))
        self.assertIn(f"state-directory: {directory}: Permission denied; ", err)
        self_signed(directory, ["a.test"])
        status, _, err = self.run_command("check", "-c", str(path))
        self.assertEqual((status, err, len(made)), (0, "", 1))

    def test_check_signing_key(self) -> None:
        """A file that is no key is not read to its end, nor waited for."""
        key = Path(self.mktemp()).absolute()
        text = (
            f"[regbroker]\nlisten = tcp:0\nsigning-key = {key}\n"
            "[upstream up]\nurl = https://up.test\n"
            "[registry *]\nupstream = up\nnamespaces = * = *\n"
        )
        path = self.write(text)
        key.write_bytes(b"\n" * 100_000)
        _, _, err = self.run_command("check", "-c", path)
        self.assertEqual(
            err, f"[regbroker] signing-key: {key}: larger than 65536 bytes\n"
        )
        key.unlink()
        os.mkfifo(key)
        _, _, err = self.run_command("check", "-c", path)
        self.assertEqual(err, f"[regbroker] signing-key: {key}: no regular file\n")

    def test_check_what_only_serving_would_find(self) -> None:
        """Endpoints and CA files are tried, not only read."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "ca.pem").write_text("no certificate")
        path = directory / "regbroker.ini"
        text = CONFIG + "ca-file = ca.pem\n[regbroker]\nlisten = tcp:0:interfce=x\n"
        # As some editors save it.
        path.write_text(text, encoding="utf-8-sig")
        status, _, err = self.run_command("check", "-c", str(path))
        self.assertEqual(status, 1)
        self.assertIn("[regbroker] listen: 'tcp:0:interfce=x' is not understood", err)
        self.assertIn("[upstream aliyun] ca-file: ", err)
        self.assertIn("holds no certificate in PEM form", err)

    def test_check_says_all_at_once(self) -> None:
        """What a file holds is told beside what the ini file says."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "a.pem").write_text("no certificate")
        path = directory / "regbroker.ini"
        path.write_text(
            "[regbroker]\nlisten = x\nsigning-key = a.pem\n"
            "[tls]\ncertificate = a.pem\nkey = a.pem\nkey = a.pem\n"
        )
        status, _, err = self.run_command("check", "-c", str(path))
        self.assertEqual(status, 1)
        for beginning in (
            "[tls] key: line 7: given twice",
            "[regbroker] listen: ",
            "[regbroker] signing-key: ",
            "[tls] certificate: ",
            "no [registry HOST] section",
        ):
            told = [line for line in err.splitlines() if line.startswith(beginning)]
            self.assertEqual(len(told), 1, (beginning, err))

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        status, _, err = self.run_command("check", "-c", "/nowhere/regbroker.ini")
        self.assertEqual(status, 1)
        self.assertEqual(err, "/nowhere/regbroker.ini: No such file or directory\n")

    def test_explain(self) -> None:
        """A name's way is told with the rule that decides; ports do not matter."""
        path = self.write(CONFIG)
        for image in (
            "registry.example.com/team/app",
            "registry.example.com:8443/acme_team/app",
            "registry.example.com/team/app:1.0",
            "registry.example.com/team/app:1.0@sha256:" + "a" * 64,
        ):
            status, out, _ = self.run_command("explain", "-c", path, image)
            self.assertEqual(status, 0)
            self.assertIn("[registry registry.example.com] team/app\n", out)
            self.assertIn("registry.cn-shenzhen.aliyuncs.com acme_team/app\n", out)
            self.assertIn("'team = acme_team'", out)

    def test_explain_several(self) -> None:
        """All upstreams that have a name are told, in the order they are asked."""
        path = self.write(SEVERAL)
        status, out, _ = self.run_command("explain", "-c", path, "localhost/nginx:1")
        self.assertEqual(status, 0)
        self.assertEqual(
            out.splitlines(),
            [
                "[registry *] library/nginx",
                "  -> [upstream hub] https://registry-1.docker.io library/nginx",
                "     'nginx' is short for 'library/nginx', by '* = *'",
                "  -> [upstream mirror] http://mirror.example.com:8080/base "
                "hub/library/nginx",
                "     'nginx' is short for 'library/nginx', by '* = mirror:hub/*'",
            ],
        )

    def test_explain_source(self) -> None:
        """What clients of a mirror name it by leads where the table says."""
        table = (
            "[regbroker]\nns =\n  docker.io = registry.example.com\n  b.test:5000 = *\n"
        )
        path = self.write(table + CONFIG + SEVERAL)
        for image in ("docker.io/team/app", "Docker.IO/team/app:1.0"):
            status, out, _ = self.run_command("explain", "-c", path, image)
            self.assertEqual(status, 0)
            self.assertEqual(
                out.splitlines()[:2],
                [
                    "[regbroker] ns: docker.io is served by "
                    "[registry registry.example.com]",
                    "[registry registry.example.com] team/app",
                ],
            )
        # A source is known by its port, too.
        _, out, _ = self.run_command("explain", "-c", path, "b.test:5000/team/app")
        self.assertIn("[regbroker] ns: b.test:5000 is served by [registry *]\n", out)
        for other in ("b.test", "docker.io:443"):
            _, out, _ = self.run_command("explain", "-c", path, f"{other}/team/app")
            self.assertNotIn("ns:", out)

    def test_explain_hosts(self) -> None:
        """A host that [registry *] does not name is not served."""
        several = SEVERAL.replace("[registry *]", "[registry *]\nhosts = *.b.test")
        self.assertNotEqual(several, SEVERAL)
        table = "[regbroker]\nns = docker.io = *\n"
        path = self.write(table + CONFIG + several)
        for image, expected in (
            ("a.b.test:5000/nginx", 0),
            ("docker.io/nginx", 0),
            ("c.test/nginx", 1),
            ("b.test/nginx", 1),
        ):
            status, _, error = self.run_command("explain", "-c", path, image)
            self.assertEqual(status, expected, image)
            if expected:
                self.assertIn("not among the hosts of [registry *]", error)

    def test_explain_any_case(self) -> None:
        """Hosts are the same in whatever case."""
        path = self.write(CONFIG + SEVERAL)
        _, out, _ = self.run_command(
            "explain", "-c", path, "Registry.Example.COM:8443/team/app"
        )
        self.assertIn("[registry registry.example.com] team/app\n", out)

    def test_explain_refused(self) -> None:
        """A name that is not served is told as the client would be told."""
        path = self.write(CONFIG)
        status, _, err = self.run_command(
            "explain", "-c", path, "registry.example.com/other/app"
        )
        self.assertEqual(status, 1)
        self.assertIn("404 NAME_UNKNOWN", err)
        self.assertIn("namespaces here: team", err)

    def test_explain_unknown_host(self) -> None:
        """A host without a registry is named."""
        status, _, err = self.run_command(
            "explain", "-c", self.write(CONFIG), "elsewhere.example/team/app"
        )
        self.assertEqual(status, 1)
        self.assertIn("no [registry elsewhere.example] section", err)
