"""Which options there are, and what is said of one in the wrong place."""

import re
from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.ini import parse_config
from regbroker.settings.options import homes
from tests.settings.test_ini import WHOLE, problems
from tests.test_examples import EXAMPLES

SHIPPED = EXAMPLES.parent / "regbroker.ini"


class HomesTests(SynchronousTestCase):
    def test_homes(self) -> None:
        """Each option has one kind of section."""
        found = homes()
        for option, section in {
            "ns": "[regbroker]",
            "certificate": "[tls]",
            "namespaces": "[registry HOST]",
            "redirects": "[registry HOST]",
            "default-namespace": "[upstream NAME]",
            "htpasswd": "[accounts NAME]",
            "ldap-group-filter": "[accounts NAME]",
        }.items():
            self.assertEqual(found[option], section)

    def test_shipped(self) -> None:
        """What the shipped files say, commented out or not, has one."""
        options: set[str] = set()
        for path in (SHIPPED, *EXAMPLES.glob("*.ini")):
            text = path.read_text()
            # Users and groups are options, too, but nobody's.
            text = re.sub(r"(?ms)^(?:; )?\[access.*?(?=^\S*\[|\Z)", "", text)
            options |= set(re.findall(r"(?m)^(?:; )?([a-z-]+) =(?: |$)", text))
        self.assertEqual(options - set(homes()), set())
        self.assertLess(30, len(options))


class ShippedTests(SynchronousTestCase):
    def test_listen(self) -> None:
        """What it says of the default is so: nothing else is listened on without."""
        shipped = SHIPPED.read_text(encoding="utf-8")
        self.assertIn('; Without "listen" it is what stands here.\nlisten =', shipped)
        without = re.sub(r"(?m)^listen =\n(?: .*\n)+", "", shipped)
        self.assertNotEqual(without, shipped)
        configs = [
            parse_config(text, PurePath("/"), lambda file: None)
            for text in (shipped, without)
        ]
        self.assertEqual(configs[0].listen, configs[1].listen)


class ElsewhereTests(SynchronousTestCase):
    def test_told(self) -> None:
        """An option in the wrong section is told where it belongs."""
        for section, line, home in (
            ("registry *", "default-namespace = library", "[upstream NAME]"),
            ("registry *", "ns = docker.io = *", "[regbroker]"),
            ("registry *", "ldap-start-tls = no", "[accounts NAME]"),
            ("upstream box", "redirects = follow", "[registry HOST]"),
            ("upstream box", "namespaces = * = *", "[registry HOST]"),
            ("regbroker", "certificate = a.pem", "[tls]"),
        ):
            title = f"    [{section}]\n"
            (found,) = problems(WHOLE.replace(title, f"{title}    {line}\n"))
            option = line.partition(" ")[0]
            self.assertEqual(
                found,
                f"[{section}] {option}: unknown option here; it belongs in {home}",
            )
