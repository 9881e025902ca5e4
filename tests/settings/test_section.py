"""One section, read by a table."""

from dataclasses import dataclass
from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.options import Option, Table
from regbroker.settings.section import FileReport, Section
from regbroker.settings.values import count, lines, path, paths


@dataclass(frozen=True, kw_only=True)
class Value:
    """What the table is about."""

    pause: int = 3
    key: PurePath | None = None
    lists: tuple[PurePath, ...] = ()
    place: PurePath | None = None


TABLE = Table(
    Value,
    (
        Option("pause", count, "A pause."),
        Option("key-file", path, "A key.", sets="key", is_file=True),
        Option("lists", paths, "Lists.", is_file=True),
        Option("place", path, "A place."),
        Option("name", str, "A name.", required="write a name"),
        Option("other", None, "The name of another section."),
    ),
)


class SectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.report = FileReport(
            PurePath("/etc"),
            lambda file: f"{file} is not there" if file.name == "none" else None,
        )

    def section(self, **texts: str) -> Section:
        """A section whose options have these texts."""
        options = {name.replace("_", "-"): text for name, text in texts.items()}
        return Section("tls", options, self.report)

    def test_values(self) -> None:
        """Options become values by the names of their fields; defaults are left out."""
        section = self.section(
            name="a", other="b", pause=" 2 ", key_file="k", lists="l\n/m"
        )
        self.assertEqual(
            section.read(TABLE),
            {
                "name": "a",
                "pause": 2,
                "key": PurePath("/etc/k"),
                "lists": (PurePath("/etc/l"), PurePath("/m")),
            },
        )
        self.assertEqual(self.report.problems, [])

    def test_wrong(self) -> None:
        """What is wrong is left out, and has a problem each on one line."""
        section = self.section(
            pause="so\n  on", key_file="none", lists="l\nnone", place=""
        )
        self.assertEqual(section.read(TABLE), {})
        self.assertEqual(
            self.report.problems,
            [
                "[tls] pause: 'so on' is not a number from 1 to 9999999",
                "[tls] key-file: /etc/none is not there",
                "[tls] lists: /etc/none is not there",
                "[tls] place: empty; write a path",
                "[tls] name: missing; write a name",
            ],
        )
        self.assertTrue(section.is_wrong("pause") and section.is_wrong("name"))
        self.assertTrue("pause" in section and "name" not in section)

    def test_parse(self) -> None:
        """An option by itself; the default where it is missing or wrong."""
        section = self.section(name="a\n b", pause="x")
        self.assertEqual(section.parse("name", lines, [""]), ["a", "b"])
        self.assertEqual(section.parse("pause", count, 1), 1)
        self.assertEqual(section.parse("place", path, None), None)
        self.assertEqual(len(self.report.problems), 1)

    def test_names(self) -> None:
        """An option that this kind of section does not have is a problem."""
        self.section(key="k", ldap="x", colour="blue").check_names("tls")
        self.assertEqual(
            self.report.problems,
            [
                "[tls] ldap: unknown option here; it belongs in [accounts NAME]",
                "[tls] colour: unknown option; known here: certificate, key",
            ],
        )

    def test_warnings(self) -> None:
        """A warning is no problem."""
        section = self.section(pause="3")
        section.warn("pause", "for\nnothing")
        self.assertEqual(self.report.warnings, ["[tls] pause: for nothing"])
        self.assertEqual(self.report.problems, [])
        self.assertFalse(section.is_wrong("pause"))
