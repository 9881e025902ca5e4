"""The configuration as a value."""

from dataclasses import fields, replace

from twisted.trial.unittest import SynchronousTestCase

from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.origins import Origin
from regbroker.settings.config import (
    DEFAULT_LISTENER,
    AccountsConfig,
    Config,
    HtpasswdConfig,
    LdapConfig,
    RegistryConfig,
    UpstreamConfig,
)
from regbroker.settings.endpoints import listeners
from tests.settings.test_ini import parse

FILE = """
    [registry *]
    upstream = up
    namespaces = * = *
    [upstream up]
    url = https://up.test
"""


def registry(**options: object) -> RegistryConfig:
    """A registry in front of the upstream ``up``."""
    entry = RegistryConfig(host="*", mapping=NameMapping([parse_rule("* = *")], ["up"]))
    return replace(entry, **options)  # type: ignore[arg-type]


def upstream(name: str = "up", **options: object) -> UpstreamConfig:
    """An upstream on the host of its name."""
    entry = UpstreamConfig(name=name, origin=Origin("https", f"{name}.test", 443))
    return replace(entry, **options)  # type: ignore[arg-type]


class ValueTests(SynchronousTestCase):
    def test_by_keyword(self) -> None:
        """All of it is given by name: no float takes the place of another."""
        for value_class in (
            Config,
            RegistryConfig,
            UpstreamConfig,
            AccountsConfig,
            HtpasswdConfig,
            LdapConfig,
        ):
            self.assertTrue(all(field.kw_only for field in fields(value_class)))

    def test_as_from_a_file(self) -> None:
        """What a file does not say is what a value made without it has."""
        from_file = parse(FILE)
        config = Config(
            registries=(registry(trusted_upstreams=("up",)),),
            upstreams={"up": upstream()},
        )
        self.assertEqual(
            replace(from_file.registries[0], mapping=config.registries[0].mapping),
            config.registries[0],
        )
        self.assertEqual(
            replace(
                from_file,
                registries=config.registries,
                # A file's paths start from where it lies.
                state_directory=config.state_directory,
            ),
            config,
        )

    def test_default_listener(self) -> None:
        """The text of the default listener says what it is."""
        self.assertEqual(listeners(DEFAULT_LISTENER.text), (DEFAULT_LISTENER,))

    def test_url(self) -> None:
        """An upstream's url is what the file has, base path included."""
        self.assertEqual(upstream(base_path="/base").url, "https://up.test/base")
        self.assertEqual(upstream(origin=None).url, "sandbox:")

    def test_has_account(self) -> None:
        """An account is a user, or a helper that knows one."""
        self.assertFalse(upstream(credential_server="up.test").has_account)
        self.assertTrue(upstream(username="robot").has_account)
        self.assertTrue(upstream(credential_helper="ecr-login").has_account)

    def test_passwords_are_not_shown(self) -> None:
        """The sandbox's passwords are no part of the representation."""
        self.assertNotIn("wonderland", repr(upstream(users={"alice": "wonderland"})))


class InUseTests(SynchronousTestCase):
    def test_unused(self) -> None:
        """What no registry uses is left out; the rest stays as it is."""
        staff, spare = (AccountsConfig(name=n, sources=()) for n in ("staff", "spare"))
        config = Config(
            registries=(registry(accounts="staff"),),
            upstreams={"up": upstream(), "spare": upstream("spare")},
            accounts={"staff": staff, "spare": spare},
        )
        used = config.in_use()
        self.assertEqual(list(used.upstreams), ["up"])
        self.assertEqual(list(used.accounts), ["staff"])
        self.assertEqual(used.in_use(), used)
        self.assertEqual(
            replace(used, upstreams=config.upstreams, accounts=config.accounts), config
        )
