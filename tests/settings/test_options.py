"""The tables of options: complete, described, and said where one is misplaced."""

import re
from dataclasses import fields
from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.ini import parse_config
from regbroker.settings.options import KINDS, names, section_of
from tests.settings.test_ini import WHOLE, problems
from tests.test_examples import EXAMPLES

SHIPPED = EXAMPLES.parent / "regbroker.ini"

#: What the tables say in words, since no option's text says it.
IN_WORDS = {
    "deny-user-agents",
    "max-connections",
    "max-connections-per-address",
    "signing-key",
    "hosts",
    "credential-server",
    "ca-file",
    "realm",
    "service",
    "ldap-ca-file",
    "ldap-group-filter",
    "jwks",
    "algorithms",
    "user",
    # a path that starts from the file
    "state-directory",
    # a word for a switch
    "challenge",
}


class TableTests(SynchronousTestCase):
    def test_one_section(self) -> None:
        """Each option has one kind of section, but for the way to a server."""
        for option, section in {
            "ns": "[regbroker]",
            "certificate": "[tls]",
            "namespaces": "[registry HOST]",
            "redirects": "[registry HOST]",
            "default-namespace": "[upstream NAME]",
            "htpasswd": "[accounts NAME]",
            "ldap-group-filter": "[accounts NAME]",
        }.items():
            self.assertEqual(section_of(option), section)
        self.assertIsNone(section_of("colour"))
        options = [option for kind in KINDS for option in names(kind)]
        twice = {option for option in options if options.count(option) > 1}
        self.assertEqual(twice, {"ca-file", "proxy", "proxy-credentials-file"})
        self.assertEqual(section_of("proxy"), "[upstream NAME] or [identity NAME]")

    def test_fields(self) -> None:
        """Each option sets a field that there is, except where it names a section."""
        for kind in KINDS.values():
            for table in kind.tables:
                known = {field.name for field in fields(table.value_class)}
                missing = {
                    option.name for option in table.options if option.field not in known
                }
                self.assertEqual(missing - {"upstream"}, set())

    def test_defaults(self) -> None:
        """What is said of a default is what the field has without the option."""
        compared = 0
        for kind in KINDS.values():
            for table in kind.tables:
                defaults = {f.name: f.default for f in fields(table.value_class)}
                for option in table.options:
                    text = table.default(option)
                    if text and option.parse and option.name not in IN_WORDS:
                        value = option.parse(text)
                        self.assertEqual(value, defaults[option.field], option.name)
                        compared += 1
        self.assertLess(12, compared)

    def test_meanings(self) -> None:
        """Each option has a sentence for people."""
        for kind in KINDS.values():
            for table in kind.tables:
                for option in table.options:
                    self.assertRegex(option.meaning, r"^[A-Z`].*[.]$", option.name)


class ShippedTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """The shipped files describe every option, and no others."""
        described: set[str] = set()
        for path in (SHIPPED, *EXAMPLES.glob("*.ini")):
            text = path.read_text()
            # Users and groups are options, too, but nobody's.
            text = re.sub(
                r"(?ms)^(?:; )?\[access \w+\]$.*?(?=^(?:; )?\[[^\n]*\]$|\Z)", "", text
            )
            described |= set(re.findall(r"(?m)^(?:; )?([a-z-]+) =(?: |$)", text))
        options = {option for kind in KINDS for option in names(kind)}
        self.assertEqual(described, options)

    def test_listen(self) -> None:
        """What it says of the default is so: nothing else is listened on without."""
        shipped = SHIPPED.read_text(encoding="utf-8")
        self.assertIn("; This line is also the default.\nlisten =", shipped)
        without = re.sub(r"(?m)^listen =\n(?: .*\n)+", "", shipped)
        self.assertNotEqual(without, shipped)
        configs = [
            parse_config(text, PurePath("/"), lambda file: None)
            for text in (shipped, without)
        ]
        self.assertEqual(configs[0].listen, configs[1].listen)


class ElsewhereTests(SynchronousTestCase):
    def test_other_section(self) -> None:
        """For an option in the wrong section, the problem names the right one."""
        for section, line, home in (
            ("registry *", "default-namespace = library", "[upstream NAME]"),
            ("registry *", "ns = docker.io = *", "[regbroker]"),
            ("registry *", "ldap-start-tls = no", "[accounts NAME]"),
            ("upstream box", "redirects = follow", "[registry HOST]"),
            ("upstream box", "namespaces = * = *", "[registry HOST]"),
            ("regbroker", "certificate = a.pem", "[tls]"),
        ):
            title = f"    [{section}]\n"
            (problem,) = problems(WHOLE.replace(title, f"{title}    {line}\n"))
            option = line.partition(" ")[0]
            self.assertEqual(
                problem,
                f"[{section}] {option}: unknown option here; it belongs in {home}",
            )
