"""Claims as a line has them, and what a token may hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.claims import claim, texts_of
from regbroker.accounts.identity.written_claims import (
    MAX_AMBIGUOUS,
    Outcome,
    readings,
    settled,
)


class ReadingTests(SynchronousTestCase):
    def test_texts(self) -> None:
        """What can only be a text has one reading; several values are a list."""
        claims = {"ref": "refs/heads/main", "aud": ("a", "b"), "id": "007", "n": "1e3"}
        self.assertEqual(list(readings(claims)), [{**claims, "aud": ["a", "b"]}])
        self.assertEqual(list(readings({})), [{}])

    def test_types(self) -> None:
        """Digits may be a number, and true may be a truth; as texts they come first."""
        self.assertEqual(
            list(readings({"run": "7", "yes": "true", "x": "y"})),
            [
                {"run": "7", "yes": "true", "x": "y"},
                {"run": "7", "yes": True, "x": "y"},
                {"run": 7, "yes": "true", "x": "y"},
                {"run": 7, "yes": True, "x": "y"},
            ],
        )
        self.assertEqual(
            list(readings({"ids": ("0", "-12", "x")})),
            [{"ids": ["0", "-12", "x"]}, {"ids": [0, -12, "x"]}],
        )
        # Beyond what CEL has for numbers it is a text.
        self.assertEqual(len(list(readings({"id": "9" * 19}))), 1)

    def test_many(self) -> None:
        """With many, either all are texts or none is."""
        claims = {str(number): "7" for number in range(MAX_AMBIGUOUS)}
        self.assertEqual(len(list(readings(claims))), 2**MAX_AMBIGUOUS)
        claims["x"] = "7"
        self.assertEqual(list(readings(claims)), [claims, dict.fromkeys(claims, 7)])

    def test_objects(self) -> None:
        """A name with dots may lead into objects, wherever these begin."""
        (reading,) = readings({"k8s.io.namespace": "build", "k8s.io.pod.name": "x"})
        self.assertEqual(
            reading["k8s.io"],
            {"namespace": "build", "pod": {"name": "x"}, "pod.name": "x"},
        )
        self.assertEqual(reading["k8s.io.namespace"], "build")
        # What is written as a text is no object.
        (reading,) = readings({"a": "x", "a.b": "y"})
        self.assertEqual(reading, {"a": "x", "a.b": "y"})
        (reading,) = readings({"a.b.c.d.e.f.g": "x"})
        self.assertEqual(list(reading), ["a.b.c.d.e.f.g"])

    @given(
        st.dictionaries(
            st.from_regex(r"[a-b](\.[a-b]){0,6}", fullmatch=True),
            st.text() | st.lists(st.text(), min_size=2).map(tuple),
            max_size=4,
        )
    )
    def test_any(self, claims: dict[str, object]) -> None:
        """The rules find every claim in every reading with the value that it has."""
        for reading in readings(claims):
            for name, value in claims.items():
                found = texts_of(claim(reading, name))
                self.assertEqual(found, texts_of(value))


class SettledTests(SynchronousTestCase):
    def test_settled(self) -> None:
        """The plain reading counts, unless another one tells more."""
        depends = "it depends on whether a claim is a text"
        cases: tuple[tuple[list[Outcome], Outcome], ...] = (
            ([True], True),
            ([False], False),
            (["why"], "why"),
            ([True, False, "x"], True),
            ([False, False, "x"], False),
            ([False, "x", True], depends),
            (["why", "x"], "why"),
            (["why", True, "x"], True),
            (["why", False, "x"], False),
            (["why", False, True], depends),
        )
        for outcomes, expected in cases:
            self.assertEqual(settled(iter(outcomes)), expected, outcomes)
