"""``regbroker check``."""

import json
import os
import tempfile
from pathlib import Path

from regbroker.accounts.key_file import make_key
from regbroker.cli import tried_here
from regbroker.transport.certificates.self_signed import self_signed
from tests.accounts.hashes import BCRYPT
from tests.cli.case import CONFIG, CommandCase

SHIPPED = Path(__file__).resolve().parents[2] / "etc" / "regbroker.ini"


class CheckTests(CommandCase):
    """The problems and warnings, and the exit status."""

    def setUp(self) -> None:
        super().setUp()
        # Somebody may have the default port just now.
        self.patch(tried_here, "problems_with_listeners", lambda config: [])

    def test_listeners(self) -> None:
        """A listener that cannot be opened now is a warning, and never more."""
        self.patch(
            tried_here, "problems_with_listeners", lambda config: ["it is taken"]
        )
        for arguments in ((), ("--strict",)):
            said = self.run_command("check", *arguments, "-c", str(SHIPPED))
            self.assertEqual((said[0], said[2]), (0, "warning: it is taken\n"))

    def test_shipped(self) -> None:
        """The configuration as shipped can be served."""
        status, out, err = self.run_command("check", "-c", str(SHIPPED))
        self.assertEqual((status, err), (0, ""))
        self.assertIn("can be served", out)
        self.assertIn(f"self-signed, in {SHIPPED.parents[1]}/var\n", out)

    def test_problems(self) -> None:
        """Every problem is a line of its own, on the error stream."""
        path = self.write("[regbroker]\nlisten = x\n[tls]\ncertificate = none.pem\n")
        status, out, err = self.run_command("check", "-c", path)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("[regbroker] listen: ", err)
        self.assertIn("none.pem cannot be read: No such file or directory", err)

    def test_passwords(self) -> None:
        """A wrong password file is a problem, and its contents are not shown."""
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
        password.chmod(0o600)
        status, _, err = self.run_command(
            "check",
            "-c",
            self.with_account(
                f"username = _json_key\npassword-file = {password.absolute()}"
            ),
        )
        self.assertEqual((status, err), (0, ""))

    def test_environment(self) -> None:
        """A variable that is not there is a problem."""
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

    def test_strict(self) -> None:
        """Warnings alone leave the exit status 0, unless told otherwise."""
        path = self.with_account("[upstream spare]\nurl = sandbox:")
        self.assertEqual(self.run_command("check", "-c", path)[0], 0)
        status, out, err = self.run_command("check", "--strict", "-c", path)
        self.assertEqual(status, 1)
        self.assertIn("can be served (2 warnings)", out)
        self.assertEqual(err.count("warning: "), 2)
        status, _, err = self.run_command("check", "--strict", "-c", str(SHIPPED))
        self.assertEqual((status, err), (0, ""))

    def test_quiet(self) -> None:
        """What is wrong with the file, and nothing of this moment."""
        self.patch(
            tried_here, "problems_with_listeners", lambda config: ["it is taken"]
        )
        said = self.run_command("check", "--quiet", "-c", str(SHIPPED))
        self.assertEqual(said, (0, "", ""))
        path = self.with_account("[upstream spare]\nurl = sandbox:")
        status, out, err = self.run_command("check", "--quiet", "-c", path)
        self.assertEqual((status, out), (0, ""))
        self.assertEqual(err.count("warning: "), 2)
        path = self.write("[regbroker]\nlisten = x\n")
        status, out, err = self.run_command("check", "--quiet", "-c", path)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("cannot be served", err)

    def test_json(self) -> None:
        """The same for programs: errors and warnings apart, and what is served."""
        status, out, err = self.run_command("check", "--json", "-c", str(SHIPPED))
        document = json.loads(out)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(
            (document["ok"], document["can_be_served"], document["errors"]),
            (True, True, []),
        )
        self.assertIn("listens on", document["summary"])
        path = self.write("[regbroker]\nlisten = x\n")
        status, out, err = self.run_command("check", "--json", "-c", path)
        document = json.loads(out)
        self.assertEqual((status, err, document["ok"]), (1, "", False))
        self.assertEqual(
            [(e["section"], e["option"]) for e in document["errors"]],
            [("regbroker", "listen"), (None, None)],
        )
        path = self.with_account("[upstream spare]\nurl = sandbox:")
        for arguments, ok in (((), True), (("--strict",), False)):
            status, out, _ = self.run_command("check", "--json", *arguments, "-c", path)
            document = json.loads(out)
            self.assertEqual((document["ok"], status), (ok, int(not ok)))
            self.assertEqual(len(document["warnings"]), 2)

    def test_summary(self) -> None:
        """What would be served: where, by which certificate, to whom."""
        _, out, _ = self.run_command("check", "-c", str(SHIPPED))
        for line in (
            "  tls:8443:interface=127.0.0.1",
            "  [registry *] -> [upstream sandbox] a sandbox, for trying out",
            "      team = acme_team",
            "      accounts: those of [upstream sandbox]",
        ):
            self.assertIn(line, out.splitlines())
        path = self.write(
            "[regbroker]\nlisten = tcp:0\nns = docker.io = *\n[registry *]\n"
            "namespaces = * = *\nupstream = up\naccounts = own\nwrites = deny\n"
            "redirects = follow\n[upstream up]\nurl = https://up.test\n"
            "[accounts own]\nldap = ldaps://ldap.test/dc=a\n"
            "[access own]\na = **: pull\n"
        )
        _, out, _ = self.run_command("check", "-c", path)
        for line in (
            "      accounts: [accounts own]: the directory ldap.test",
            "      read-only",
            "      redirects are followed here",
            "  ns docker.io -> [registry *]",
        ):
            self.assertIn(line, out.splitlines())
        self.assertNotIn("certificate", out)
        path = self.with_account("username = u\npassword-env = HOME")
        _, out, _ = self.run_command("check", "-c", path)
        self.assertIn("; clients without one may pull with regbroker's own", out)

    def errors(self, err: str) -> list[str]:
        """The lines about errors, without the word; nothing else but their number."""
        *lines, last = err.splitlines()
        self.assertRegex(last, rf" cannot be served: {len(lines)} errors?$")
        for line in lines:
            self.assertTrue(line.startswith("error: "), line)
        return [line.removeprefix("error: ") for line in lines]

    def with_account(self, options: str) -> str:
        """A configuration with an account of our own."""
        return self.write(
            "[regbroker]\nlisten = tcp:0\n[registry *]\nupstream = up\n"
            f"namespaces = * = *\nanonymous = shared\n[upstream up]\nurl = https://up.test\n{options}\n"
        )

    def refused(self, options: str) -> str:
        """The problems with a wrong account."""
        status, _, err = self.run_command("check", "-c", self.with_account(options))
        self.assertEqual(status, 1)
        return err

    def test_warns(self) -> None:
        """What may not be meant is a warning, and the exit status is 0."""
        text = (
            "[regbroker]\nlisten = tcp:0\n[registry *]\nupstream = up\n"
            "namespaces = * = *\naccounts = own\nchallenge = {challenge}\n"
            "[accounts own]\nhtpasswd = users\n[access own]\n{subject} = **: pull\n"
            "[upstream up]\nurl = https://up.test\n"
        )
        for challenge, subject, warned in (
            ("basic", "anonymous", True),
            ("basic", "users", False),
            ("bearer", "anonymous", False),
        ):
            path = self.write(text.format(challenge=challenge, subject=subject))
            Path(path).with_name("users").write_text("")
            status, out, err = self.run_command("check", "-c", path)
            self.assertEqual(status, 0, err)
            self.assertIn("can be served", out)
            said = "warning: [registry *] challenge: with 'challenge = basic' docker"
            self.assertEqual(err.startswith(said), warned, err)

    def test_without_effect(self) -> None:
        """Each thing that nothing uses has a warning, and the exit status is 0."""
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

    def test_state_directory(self) -> None:
        """A directory that cannot keep files is a problem; nothing is made in it."""
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
                (line,) = self.errors(err)
                self.assertTrue(line.startswith(start), line)
                self.assertTrue(line.endswith(f"; {kept} is kept there"), line)
            self.assertEqual(
                {each.name for each in directory.iterdir()},
                {"file", "link", "regbroker.ini"},
            )

    def test_state_that_is_there(self) -> None:
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
        make_key(directory)
        status, _, err = self.run_command("check", "-c", str(path))
        self.assertEqual((status, err, len(made)), (0, "", 1))

    def test_signing_key(self) -> None:
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
            self.errors(err),
            [f"[regbroker] signing-key: {key}: larger than 65536 bytes"],
        )
        key.unlink()
        os.mkfifo(key)
        _, _, err = self.run_command("check", "-c", path)
        self.assertEqual(
            self.errors(err), [f"[regbroker] signing-key: {key}: no regular file"]
        )

    def test_what_only_serving_would_find(self) -> None:
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

    def test_says_all_at_once(self) -> None:
        """Problems in other files are printed beside those of the ini file."""
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
            lines = [line for line in self.errors(err) if line.startswith(beginning)]
            self.assertEqual(len(lines), 1, (beginning, err))

    def test_rights(self) -> None:
        """Rights that are not as they are meant to be are errors, with their place."""
        tests = Path(self.mktemp()).absolute()
        tests.write_text("alice pull team/app: allowed\nbob pull team/app: allowed\n")
        users = Path(self.mktemp()).absolute()
        users.write_text(f"alice:{BCRYPT}\n")
        key = f"[accounts staff]\nhtpasswd = {users}\n[access staff]\n"
        options = f"accounts = staff\ntests = {tests}\nnamespaces"
        path = self.write(
            CONFIG.replace("namespaces", options) + f"{key}alice = team/**: pull\n"
        )
        status, out, err = self.run_command("check", "-c", path)
        self.assertEqual(status, 1)
        self.assertIn(
            f"error: [registry registry.example.com] tests: {tests}:2: bob may not "
            "pull team/app, and allowed is expected: no line of [access staff] grants "
            "it; those who may: alice\n",
            err,
        )
        self.assertIn("can be served (1 failed test)", out)
        status, out, _ = self.run_command("check", "-c", path, "--json")
        document = json.loads(out)
        self.assertEqual(status, 1)
        self.assertEqual((document["ok"], document["can_be_served"]), (False, True))
        self.assertEqual(document["errors"][0]["option"], "tests")
        tests.write_text("alice pull team/app: allowed\n")
        status, out, err = self.run_command("check", "-c", path)
        self.assertEqual((status, err), (0, ""))
