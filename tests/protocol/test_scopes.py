"""Token scopes: read, written, and given other names."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest
from regbroker.protocol.scopes import (
    MAX_SCOPE_LENGTH,
    MAX_SCOPES,
    Scope,
    completed_scopes,
    format_scopes,
    parse_scope,
    parse_scopes,
    public_scopes,
)
from tests.grammar import EXAMPLES, hostile, names

types = st.from_regex(r"[a-z0-9]{1,10}", fullmatch=True)
actions = st.lists(st.from_regex(r"[a-z]{1,6}|\*", fullmatch=True), max_size=4)


class ParseTests(SynchronousTestCase):
    def test_good(self) -> None:
        """The type ends at the first colon, the actions begin after the last."""
        for text, parts in (
            ("repository:team/app:pull", ("repository", "", "team/app", ("pull",))),
            ("repository:a:pull,push", ("repository", "", "a", ("pull", "push"))),
            ("repository:a:*", ("repository", "", "a", ("*",))),
            ("repository:a:", ("repository", "", "a", ())),
            ("repository(plugin):a/b:pull", ("repository", "plugin", "a/b", ("pull",))),
            (
                "repository:host:5000/a:pull",
                ("repository", "", "host:5000/a", ("pull",)),
            ),
            ("registry:catalog:*", ("registry", "", "catalog", ("*",))),
        ):
            scope = parse_scope(text)
            self.assertEqual(
                (scope.type, scope.resource_class, scope.name, scope.actions), parts
            )
            self.assertEqual(str(scope), text)
            self.assertEqual(scope.is_repository, text.startswith("repository"))

    def test_opaque(self) -> None:
        """What does not parse is kept as it is, and names no repository."""
        for text in (
            "aws",
            "",
            ":",
            "::",
            "a:b",
            "repository",
            "repository:",
            "repository:a",
            "repository:localhost:5000/a",
            "repository():a:pull",
            "repository(a:b:pull",
            "Repository:a:pull",
            "repository::pull",
            "re-pository:a:pull",
        ):
            scope = parse_scope(text)
            self.assertEqual(scope, Scope(text))
            self.assertFalse(scope.is_repository)

    def test_loose_actions(self) -> None:
        """
        Actions beyond the grammar do not hide a repository's name: Azure has
        ``metadata_read``, and a token service may overlook an empty one.
        """
        for given_actions in (
            "metadata_read",
            "pull,metadata_read,metadata_write",
            "pull,,push",
            ",pull",
            "pull,",
            "Pull",
            "pull-through",
        ):
            scope = parse_scope(f"repository:team/app:{given_actions}")
            self.assertEqual(scope.name, "team/app", given_actions)
            self.assertTrue(scope.is_repository)
            mapped = str(scope.with_name("acme_team/app"))
            self.assertEqual(mapped.split(":")[1], "acme_team/app")

    def test_with_name(self) -> None:
        """Another name changes nothing but the name."""
        for text, expected in (
            ("repository:a:pull,push", "repository:x/y:pull,push"),
            ("repository(plugin):a:pull", "repository(plugin):x/y:pull"),
            ("repository:host:5000/a:*", "repository:x/y:*"),
            ("repository:a:", "repository:x/y:"),
        ):
            renamed = parse_scope(text).with_name("x/y")
            self.assertEqual(str(renamed), expected)
            self.assertEqual(renamed, parse_scope(expected))

    @EXAMPLES
    @given(types, st.one_of(st.just(""), types), names, actions)
    def test_round_trip(
        self, kind: str, resource_class: str, name: str, given_actions: list[str]
    ) -> None:
        """A scope comes apart into what it was made of."""
        written_class = f"({resource_class})" if resource_class else ""
        text = f"{kind}{written_class}:{name}:{','.join(given_actions)}"
        scope = parse_scope(text)
        self.assertEqual(
            (scope.type, scope.resource_class, scope.name, scope.actions),
            (kind, resource_class, name, tuple(given_actions)),
        )
        self.assertEqual(scope.with_name(name), scope)
        self.assertEqual(
            parse_scope(str(scope.with_name("other/name"))).name, "other/name"
        )

    @EXAMPLES
    @given(hostile)
    def test_anything(self, text: str) -> None:
        """Any text is a scope that is written as it was read."""
        scope = parse_scope(text)
        self.assertEqual(str(scope), text)
        self.assertEqual(
            scope.is_repository, bool(scope.name) and scope.type == "repository"
        )


class ParseSeveralTests(SynchronousTestCase):
    def parsed(self, *values: str) -> list[str]:
        return [str(scope) for scope in parse_scopes(values)]

    def test_repeated_and_joined(self) -> None:
        """Scopes come repeated, space-separated, or both; the order is kept."""
        self.assertEqual(
            self.parsed(
                "repository:b:pull repository:a:pull", "aws", "registry:catalog:*"
            ),
            ["repository:b:pull", "repository:a:pull", "aws", "registry:catalog:*"],
        )

    def test_none(self) -> None:
        """No scope is a login."""
        for values in ((), ("",), ("  ", "\t")):
            self.assertEqual(parse_scopes(values), ())

    def test_duplicates(self) -> None:
        """The same scope counts once, where it first stood."""
        self.assertEqual(self.parsed("a:a:a b", "b a:a:a"), ["a:a:a", "b"])

    def test_too_many(self) -> None:
        """Up to a bound; duplicates do not count."""
        many = [f"repository:a{i}:pull" for i in range(MAX_SCOPES)]
        self.assertEqual(len(parse_scopes(many + many)), MAX_SCOPES)
        error = self.assertRaises(BadRequest, parse_scopes, [*many, "one:more:x"])
        self.assertIn(str(MAX_SCOPES), error.message)
        self.assertRaises(BadRequest, parse_scopes, [" ".join(many) + " one:more:x"])

    def test_too_long(self) -> None:
        """Up to a bound each."""
        longest = "x" * MAX_SCOPE_LENGTH
        self.assertEqual(self.parsed(longest), [longest])
        self.assertRaises(BadRequest, parse_scopes, [longest + "x"])

    def test_unbounded(self) -> None:
        """An upstream may write as many, and as long ones, as it likes."""
        many = [f"repository:a{i}:pull" for i in range(MAX_SCOPES * 2)]
        many.append("x" * (MAX_SCOPE_LENGTH + 1))
        self.assertEqual(
            [str(scope) for scope in parse_scopes(many, bounded=False)], many
        )

    @EXAMPLES
    @given(st.lists(hostile, max_size=4))
    def test_written_again(self, values: list[str]) -> None:
        """Scopes that are written as one value are the same scopes."""
        scopes = parse_scopes(values)
        self.assertEqual(parse_scopes([format_scopes(scopes)]), scopes)


class PublicTests(SynchronousTestCase):
    def test_mapped_back(self) -> None:
        """
        Repositories get their public names, or are left out; other scopes stay
        as they are.
        """
        scopes = parse_scopes(
            [
                "repository:acme_team/app:pull,push repository:user/image:pull "
                "registry:catalog:* aws repository(plugin):acme_x:pull"
            ]
        )
        public = public_scopes(
            scopes,
            lambda name: name[5:] if name.startswith("acme_") else None,
        )
        self.assertEqual(
            format_scopes(public),
            "repository:team/app:pull,push registry:catalog:* aws "
            "repository(plugin):x:pull",
        )
        self.assertEqual(public_scopes((), lambda name: name), ())

    def test_completed(self) -> None:
        """What is missing stands behind what is there, and nothing stands twice."""
        for text, needed, expected in (
            ("", "repository:a:pull", "repository:a:pull"),
            ("repository:a:pull,push", "repository:a:pull", "repository:a:pull,push"),
            ("repository:a:*", "repository:a:pull,push", "repository:a:*"),
            (
                "repository:a:pull aws",
                "repository:a:pull,push repository:b:pull",
                "repository:a:pull aws repository:a:pull,push repository:b:pull",
            ),
            ("aws", "", "aws"),
        ):
            scopes = completed_scopes(parse_scopes([text]), parse_scopes([needed]))
            self.assertEqual(format_scopes(scopes), expected)
