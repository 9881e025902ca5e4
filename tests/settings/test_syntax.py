"""The syntax of the ini file, as far as it is not that of configparser."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import ConfigurationError
from regbroker.settings.syntax import parse_ini

TEXT = """
[access ci]
github[a=b, ref=refs/heads/*] = x/**: pull
github[a=c] =
    y/**: pull
    z[q=r] = w: pull
github[] = v: pull
alice = t: pull  ; github[a=b] = comment
[registry *]
namespaces =
    team = acme_team
"""


class BracketTests(SynchronousTestCase):
    def test_options(self) -> None:
        """What stands in brackets is part of the option, and stays as it is."""
        parsed = parse_ini(TEXT, [])
        self.assertEqual(
            dict(parsed.items("access ci")),
            {
                "github[a=b, ref=refs/heads/*]": "x/**: pull",
                "github[a=c]": "\ny/**: pull\nz[q=r] = w: pull",
                "github[]": "v: pull",
                "alice": "t: pull",
            },
        )
        self.assertEqual(parsed["registry *"]["namespaces"], "\nteam = acme_team")

    def test_twice(self) -> None:
        """The same conditions twice are one option twice."""
        problems: list[str] = []
        parse_ini("[access ci]\ng[a=b] = x: pull\ng[a=b] = y: pull\n", problems)
        self.assertEqual(
            problems, ["[access ci] g[a=b]: line 3: given twice; once is right"]
        )

    def test_unreadable(self) -> None:
        """What is no ini file is refused."""
        with self.assertRaises(ConfigurationError):
            parse_ini("nonsense", [])
