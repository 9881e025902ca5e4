"""What people paste, as questions."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.questions import NotUnderstood, Question, parse_question
from regbroker.errors import HTTPError

DIGEST = "sha256:" + "a" * 64


class QuestionsTests(SynchronousTestCase):
    def test_one(self) -> None:
        """References, URLs, scopes, challenges: host, name, reference, actions."""
        for text, expected in (
            ("a.test/team/app", Question("a.test", "team/app")),
            ("A.test:8443/team/app:1.0", Question("a.test:8443", "team/app", "1.0")),
            ("localhost/app", Question("localhost", "app")),
            ("[::1]:5000/app", Question("[::1]:5000", "app")),
            ("team/app:1.0", Question("", "team/app", "1.0")),
            ("app", Question("", "app")),
            (f"a.test/app:1@{DIGEST}", Question("a.test", "app", DIGEST)),
            ("docker://a.test/app", Question("a.test", "app")),
            ("oci://a.test/charts/app", Question("a.test", "charts/app")),
            ("https://a.test/team/app", Question("a.test", "team/app")),
            (
                "https://a.test:8443/v2/team/app/manifests/1.0",
                Question("a.test:8443", "team/app", "1.0"),
            ),
            (
                f"https://a.test/v2/app/blobs/{DIGEST}?ns=docker.io",
                Question("a.test", "app", DIGEST, (), "docker.io"),
            ),
            ("/v2/team/app/tags/list", Question("", "team/app")),
            (
                "https://a.test/v2/app/blobs/uploads/",
                Question("a.test", "app", "", ("pull", "push")),
            ),
            (
                "https://a.test/auth?service=a.test&scope=repository%3Aapp%3Apull",
                Question("a.test", "app", "", ("pull",)),
            ),
            (
                "repository:team/app:pull,push",
                Question("", "team/app", "", ("pull", "push")),
            ),
            (
                'Bearer realm="https://a.test/auth",service="x",'
                'scope="repository:team/app:*"',
                Question("a.test", "team/app", "", ("pull", "push", "delete")),
            ),
            (
                'WWW-Authenticate: Bearer realm="https://a.test/auth",'
                'scope="repository:app:pull"',
                Question("a.test", "app", "", ("pull",)),
            ),
        ):
            self.assertEqual(parse_question(text), (expected,), text)

    def test_request_lines(self) -> None:
        """What a log or curl shows of a request says what it does, too."""
        upload = "/v2/team/app/blobs/uploads/"
        for text, actions in (
            ("GET /v2/team/app/tags/list HTTP/1.1", ("pull",)),
            ("> HEAD /v2/team/app/tags/list HTTP/1.1", ("pull",)),
            (f"POST {upload}?mount=x&from=y", ("pull", "push")),
            (f"GET {upload}id", ("pull", "push")),
            ("DELETE https://a.test/v2/team/app/manifests/1", ("delete",)),
        ):
            (question,) = parse_question(text)
            self.assertEqual(question.name, "team/app", text)
            self.assertEqual(question.actions, actions, text)
        with self.assertRaises(NotUnderstood):
            parse_question("GET /v2/ HTTP/1.1")

    def test_quoted(self) -> None:
        """Quotes around it are not meant."""
        for quote in "\"'`":
            question = Question("a.test", "app", "1")
            self.assertEqual(parse_question(f"{quote}a.test/app:1{quote}"), (question,))

    def test_several(self) -> None:
        """A mount's scopes are about two repositories."""
        found = parse_question("repository:a:pull,push repository:b:pull")
        self.assertEqual([each.name for each in found], ["a", "b"])

    def test_none(self) -> None:
        """What is about no repository says what would be."""
        for text, words in (
            ("registry:catalog:*", "write repository:NAME:ACTIONS"),
            ("Basic realm=a", "no scope"),
            ("https://a.test/v2/_catalog", "whole registry"),
            ("a.test/app:-x", "no tag"),
            ("docker pull a.test/app:1", "write one NAME:TAG"),
            ("curl -i https://a.test/v2/app/tags/list", "write one NAME:TAG"),
            ("a.test/app@sha256", "no digest"),
        ):
            with self.assertRaises(NotUnderstood) as caught:
                parse_question(text)
            self.assertIn(words, str(caught.exception), text)

    @given(
        st.text(max_size=60),
        st.sampled_from(["", "https://a/v2/", "Bearer ", "a/", "https://["]),
    )
    def test_anything(self, text: str, before: str) -> None:
        """Whatever is pasted, there are questions, or an error in words."""
        try:
            found = parse_question(before + text)
        except (NotUnderstood, HTTPError) as error:
            self.assertTrue(str(error))
        else:
            self.assertTrue(found)
