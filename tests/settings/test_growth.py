"""
Four times as long a configuration takes some four times as many steps to be checked.

A reload does this while requests wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.config import Config
from regbroker.settings.warnings import warnings
from tests.settings.test_ini import parse
from tests.steps import steps

UP = "[upstream up]\nurl = https://up.example.com\n"
ALL_NAMES = "upstream = up\nnamespaces = * = *\n"


def lines(option: str, values: Iterable[str]) -> str:
    """An option with one value a line."""
    return "".join([f"{option} =\n", *(f"    {value}\n" for value in values)])


def namespaces(count: int) -> str:
    """Namespaces beside a star."""
    rules = [f"team{i} = group{i}" for i in range(count)]
    return (
        UP + "[registry *]\nupstream = up\n" + lines("namespaces", ["* = x_*", *rules])
    )


def upstreams(count: int) -> str:
    """Upstreams, each below a name of its own."""
    rules = lines("namespaces", [f"at{i}/* = up{i}:*" for i in range(count)])
    sections = [UP.replace("upstream up", f"upstream up{i}") for i in range(count)]
    return "".join([*sections, "[registry *]\n", rules])


def registries(count: int) -> str:
    """Registries, each a mirror, beside the path of health checks."""
    hosts = [f"r{i}.example.com" for i in range(count)]
    return "".join(
        [
            "[regbroker]\nhealth-path = /healthz\n",
            lines("ns", [f"of.{host} = {host}" for host in hosts]),
            UP,
            *(f"[registry {host}]\n{ALL_NAMES}" for host in hosts),
        ]
    )


def rights(count: int) -> str:
    """Users, each with rights to a namespace."""
    rules = [f"team{i} = group{i}" for i in range(count)]
    grants = [f"user{i} = team{i}/**: pull\n" for i in range(count)]
    return "".join(
        [
            f"{UP}[registry *]\nupstream = up\naccounts = local\n",
            lines("namespaces", rules),
            "[accounts local]\nhtpasswd = users\n[access local]\n",
            *grants,
        ]
    )


def issuers(count: int) -> str:
    """Issuers that name groups with rights."""
    identities = [
        f"[identity i{i}]\nissuer = https://i{i}.test\naudience = x\n"
        f"groups = group{i}:${{groups}}\n"
        for i in range(count)
    ]
    named = ", ".join(f"i{i}" for i in range(count))
    grants = [f"@group{i}:admin = team{i}/**: pull\n" for i in range(count)]
    registry = f"[registry *]\n{ALL_NAMES}accounts = {named}\naccess = local\n"
    return "".join([UP, *identities, registry, "[access local]\n", *grants])


def warned(config: Config) -> list[str]:
    """All warnings about a configuration."""
    return list(warnings(config, lambda program: None))


def checked(text: str) -> list[str]:
    """Read a configuration, and return all warnings about it."""
    return warned(parse(text))


class GrowthTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Rules, upstreams, registries and rights are read and checked."""
        for kind in (namespaces, upstreams, registries, rights):
            self.assertEqual(checked(kind(50)), [])
            few, many = (
                steps(partial(checked, text)) for text in (kind(50), kind(200))
            )
            self.assertLess(many, 5 * few, kind.__name__)

    def test_issuers(self) -> None:
        """Groups that issuers give are compared with those that have rights."""
        few, many = (parse(issuers(count)) for count in (50, 200))
        self.assertEqual(warned(few), [])
        self.assertLess(steps(partial(warned, many)), 5 * steps(partial(warned, few)))
