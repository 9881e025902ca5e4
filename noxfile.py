"""
Sessions for other versions of Python and of what regbroker needs.

`nox -l` lists them. A session is skipped where the machine has not its Python. Sessions
run the quick tests; `make test` runs everything with the Python that it finds.
"""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

#: What the quick tests need beside regbroker.
TEST_TOOLS = ("hypothesis", "memray", "towncrier")

#: Tests that need a site generator, or make environments of their own.
LEFT_OUT = {"tests.test_docs", "tests.test_packaging"}

nox.options.sessions = ["unit"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def unit(session: nox.Session) -> None:
    """The quick tests, with dependencies as pip chooses them."""
    session.install("--editable", ".[ldap]", *TEST_TOOLS)
    run_tests(session)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The quick tests, with the lowest dependencies that setup.cfg allows."""
    session.install("--editable", ".[ldap]", *lowest_versions(), *TEST_TOOLS)
    run_tests(session)


@nox.session(python=PYTHONS[-2:])
def newest(session: nox.Session) -> None:
    """The quick tests, with the newest dependencies, also those not released yet."""
    session.install("--pre", "--upgrade", "--editable", ".[ldap]", *TEST_TOOLS)
    run_tests(session)


def run_tests(session: nox.Session) -> None:
    """Run the modules that are named behind ``--``, or all quick tests."""
    directory = f"--temp-directory={session.create_tmp()}/trial"
    names = session.posargs or unit_tests()
    session.run("trial", directory, "--reporter=text", *names)


def unit_tests() -> list[str]:
    """Return the names of the quick test modules."""
    paths = sorted(Path("tests").rglob("test_*.py"))
    names = [".".join(path.with_suffix("").parts) for path in paths]
    return [
        name
        for name in names
        if not name.startswith("tests.integration.") and name not in LEFT_OUT
    ]


def lowest_versions() -> list[str]:
    """Return each lower bound in setup.cfg as a requirement of just that version."""
    metadata = ConfigParser()
    metadata.read("setup.cfg")
    texts = (
        metadata["options"]["install_requires"],
        metadata["options.extras_require"]["ldap"],
    )
    found = re.findall(r"^([\w\[\]-]+)>=([\w.]+)", "\n".join(texts), re.MULTILINE)
    return [f"{name}=={version}" for name, version in found]
