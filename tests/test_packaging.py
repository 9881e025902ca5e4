"""What we ship works where it is installed, far from this checkout."""

import os
import re
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from regbroker import __version__

ROOT = Path(__file__).resolve().parents[1]

# A fresh environment downloads every dependency, on a slow line too.
INSTALL_SECONDS = 600
START_SECONDS = 60

CONFIGURATION = """\
[regbroker]
listen = tls:0:interface=127.0.0.1
state-directory = state

[registry *]
upstream = sandbox
namespaces =
    team = acme_team

[upstream sandbox]
url = sandbox:
users =
    alice:wonderland
"""

# Everything is built once, here; the directory goes when the process ends.
scratch = TemporaryDirectory(prefix="regbroker-packaging-")

# The checkout must not leak into what we run: neither its modules nor its coverage.
clean_environment = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTHON", "COVERAGE"))
}


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command that must succeed."""
    result = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    if result.returncode:
        line = " ".join(map(str, command))
        raise AssertionError(f"{line} exits {result.returncode}:\n{result.stdout}")
    return result.stdout


@cache
def elsewhere() -> Path:
    """A directory that is not the checkout."""
    path = Path(scratch.name, "elsewhere")
    path.mkdir()
    return path


@cache
def built() -> tuple[Path, Path]:
    """The sdist made from a copy of the tree, and the wheel made from the sdist."""
    source, output = Path(scratch.name, "source"), Path(scratch.name, "dist")
    leftovers = ignore_patterns(
        ".*", "var", "build", "dist", "*.egg-info", "_trial_temp*", "__pycache__"
    )
    copytree(ROOT, source, ignore=leftovers)
    run(sys.executable, "-m", "build", "--outdir", output, source, cwd=elsewhere())
    (sdist,), (wheel,) = output.glob("*.tar.gz"), output.glob("*.whl")
    return sdist, wheel


@cache
def installed() -> Path:
    """The bin directory of a fresh environment with nothing but the wheel."""
    environment = Path(scratch.name, "venv")
    _, wheel = built()
    run(sys.executable, "-m", "venv", environment, cwd=elsewhere())
    # what is imported is compiled then
    pip = (environment / "bin" / "pip", "install", "--quiet", "--no-compile")
    run(*pip, wheel, cwd=elsewhere())
    return environment / "bin"


def wait_for(found: Callable[[], str | None], seconds: float) -> str | None:
    """What found() answers, once it answers; None when time is up."""
    deadline = time.monotonic() + seconds
    while (answer := found()) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


class BuildTests(SynchronousTestCase):
    def test_wheel_has_package_and_plugin(self) -> None:
        """The wheel brings the modules, the type marker and the plugin file."""
        with zipfile.ZipFile(built()[1]) as wheel:
            names = set(wheel.namelist())
        ours = {str(path.relative_to(ROOT)) for path in ROOT.glob("regbroker/**/*.py")}
        ours |= {"regbroker/py.typed", "twisted/plugins/regbroker_plugin.py"}
        ours |= {f"regbroker/admin/status.{kind}" for kind in ("css", "js")}
        self.assertEqual(ours - names, set())

    def test_wheel_leaves_twisted_alone(self) -> None:
        """In Twisted's own package there is our plugin file and nothing else.

        An __init__.py there would overwrite Twisted's own.
        """
        with zipfile.ZipFile(built()[1]) as wheel:
            names = [name for name in wheel.namelist() if name.startswith("twisted")]
        self.assertEqual(names, ["twisted/plugins/regbroker_plugin.py"])

    def test_sdist_has_examples_and_tests(self) -> None:
        """The sdist brings the configuration, the tests and the licence."""
        with tarfile.open(built()[0]) as sdist:
            names = {name.partition("/")[2] for name in sdist.getnames()}
        wanted = {"etc/regbroker.ini", "tests/test_packaging.py", "LICENSE"}
        self.assertEqual(wanted - names, set())


class InstalledTests(SynchronousTestCase):
    def test_twistd_lists_regbroker(self) -> None:
        """twistd finds the plugin from any directory."""
        output = run(installed() / "twistd", "--help", cwd=elsewhere())
        self.assertRegex(output, r"(?m)^\s+regbroker\s")

    def test_help(self) -> None:
        """twistd regbroker --help tells of --config."""
        output = run(installed() / "twistd", "regbroker", "--help", cwd=elsewhere())
        self.assertIn("--config", output)

    def test_version(self) -> None:
        """twistd regbroker --version tells our version, not only Twisted's."""
        output = run(installed() / "twistd", "regbroker", "--version", cwd=elsewhere())
        self.assertRegex(output, rf"\b{re.escape(__version__)}(?!\S)")

    def test_command(self) -> None:
        """The commands are there."""
        for name in ("regbroker", "regbroker-credential-provider"):
            run(installed() / name, "--help", cwd=elsewhere())

    def test_serves(self) -> None:
        """A small configuration serves https with the certificate it made."""
        directory = elsewhere() / "serving"
        directory.mkdir()
        (directory / "regbroker.ini").write_text(CONFIGURATION)
        log = directory / "log"
        twistd = [f"{installed()}/twistd", "-n", "--pidfile=", "--logfile=log"]
        with (directory / "output").open("wb") as output:
            process = subprocess.Popen(
                [*twistd, "regbroker", "--config", "regbroker.ini"],
                cwd=directory,
                env=clean_environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def address() -> str | None:
            text = log.read_text() if log.exists() else ""
            found = re.search(r"listening on (https://127\.0\.0\.1:[0-9]+)", text)
            if found is None and process.poll() is not None:
                text += (directory / "output").read_text()
                self.fail(f"twistd exits {process.returncode}:\n{text}")
            return found and found[1]

        url = wait_for(address, START_SECONDS)
        self.assertIsNotNone(url, "no listener is logged")
        trust = ssl.create_default_context(
            cafile=directory / "state" / "self-signed.pem"
        )
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/v2/", context=trust, timeout=10)
        refused.exception.close()
        self.assertEqual(refused.exception.code, 401)
        self.assertIn("Bearer realm=", refused.exception.headers["WWW-Authenticate"])

        process.terminate()
        process.wait(timeout=30)
        self.assertNotIn("Traceback", log.read_text())


class PasslibTests(SynchronousTestCase):
    """With the extra `ldap` the files of passlib may take the place of libpass's."""

    def passlib(self) -> tuple[Path, Path]:
        """Return where passlib is, and an htpasswd file with a hash of bcrypt."""
        place = Path(scratch.name, "passlib")
        if not place.exists():
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps")
            run(*pip, "--target", place, "passlib==1.7.4", cwd=elsewhere())
        accounts = Path(scratch.name, "users")
        accounts.write_text(
            "alice:$2y$04$5BJqKfqMQvV7nS.yUguNcueVirQqDBGaLXSqj.rs.pZ\n"
        )
        return place, accounts

    def test_serve(self) -> None:
        """``regbroker serve`` says nothing of it either, once it serves."""
        place, accounts = self.passlib()
        accounts.write_text(
            f"alice:{bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}\n"
        )
        directory = elsewhere() / "extra-serving"
        directory.mkdir()
        served = CONFIGURATION.replace("[registry *]", "[registry *]\naccounts = a")
        sections = f"[accounts a]\nhtpasswd = {accounts}\n"
        sections += "[access a]\nauthenticated = **: pull\n"
        self.assertNotEqual(served, CONFIGURATION)
        (directory / "regbroker.ini").write_text(f"{served}\n{sections}")
        output = directory / "output"
        path = os.pathsep.join((str(place), str(ROOT)))
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "regbroker", "serve", "-c", "regbroker.ini"],
                cwd=directory,
                env=clean_environment | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def serves() -> str | None:
            text = output.read_text()
            if process.poll() is not None:
                self.fail(text)
            return text if "regbroker serves" in text else None

        self.assertIsNotNone(wait_for(serves, START_SECONDS), output.read_text())
        process.terminate()
        self.assertEqual(process.wait(timeout=30), 0)
        self.assertNotIn("Traceback", output.read_text())
        self.assertNotIn("passlib", output.read_text())

    def test_nothing_in_the_log(self) -> None:
        """Whoever is imported first, passlib says nothing of bcrypt's version."""
        place, accounts = self.passlib()
        for first in (
            "regbroker.accounts.htpasswd",
            "ldaptor.inmemory",
            "passlib.handlers.bcrypt",
        ):
            said = run(
                sys.executable,
                "-c",
                f"import sys; sys.path[:0] = [{str(place)!r}, {str(ROOT)!r}]\n"
                f"import {first}, passlib, pathlib\n"
                "from twisted.internet.task import Clock\n"
                "from regbroker.accounts.htpasswd import HtpasswdAccounts\n"
                f"source = HtpasswdAccounts(pathlib.Path({str(accounts)!r}), Clock())\n"
                "source.open(); source.close()\n"
                "assert passlib.__version__ == '1.7.4'\n",
                cwd=elsewhere(),
            )
            self.assertEqual(said, "", first)
