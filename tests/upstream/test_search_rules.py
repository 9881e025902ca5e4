"""What a search service is asked, and what clients hear of its answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest, NameUnknown, UpstreamMalformed
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.upstream.search_rules import SearchQuery, SearchRules, ping, refused
from tests.grammar import EXAMPLES, hostile, names


def mapping(*lines: str, namespace: str = "library") -> NameMapping:
    """The mapping of these rules, with `hub` and `quay` for upstreams."""
    return NameMapping(
        [parse_rule(line) for line in lines],
        ["hub"],
        {"hub": namespace} if namespace else {},
    )


def searches(*lines: str, namespace: str = "library") -> SearchRules:
    """The search of these rules in `hub`."""
    return SearchRules(mapping(*lines, namespace=namespace), "hub")


#: Rules as operators write them.
MIRROR = ("* = *",)
NAMESPACE = ("team = acme_team", "lib/* = mirror/lib_*")
SEVERAL = ("hub/* = hub:*", "quay/* = quay:*")
SETS = (MIRROR, NAMESPACE, SEVERAL, ("docker/* = hub_*",), ("* = acme_*",))


def every(name: str) -> bool:
    """Everything may be seen."""
    return True


def reply(*found: str, **more: Any) -> bytes:
    """A search service's reply with these names."""
    results = [{"name": name, "star_count": 1} for name in found]
    return json.dumps({"results": results} | more).encode()


class AskedTests(SynchronousTestCase):
    def assert_texts(
        self,
        rules: tuple[str, ...],
        expected: dict[str, str | None],
        namespace: str = "library",
    ) -> None:
        """Each text becomes the other one upstream; None: nothing is asked."""
        rules_of_search = searches(*rules, namespace=namespace)
        found = {
            text: rules_of_search.asked(urlencode({"q": text})).upstream_text
            for text in expected
        }
        self.assertEqual(found, expected)

    def test_words(self) -> None:
        """Without a slash it is a word, whatever the rules are."""
        for rules in SETS:
            words = ("nginx", "library", "team", "", "hello world", "NGINX", "é", "a_")
            self.assert_texts(rules, {word: word for word in words})

    def test_mirror(self) -> None:
        """What the nginx configuration of the field does for Docker Hub."""
        self.assert_texts(
            MIRROR,
            {
                "library/nginx": "nginx",
                "library/ng": "ng",
                "library/": "library",
                "library/a/b": "a/b",
                "library/my-": "my-",
                "bitnami/nginx": "bitnami/nginx",
                "bitnami/": "bitnami/",
                "librarything/x": "librarything/x",
            },
        )

    def test_without_default_namespace(self) -> None:
        """Then every namespace is one."""
        texts = ("library/nginx", "library/", "bitnami/nginx")
        self.assert_texts(MIRROR, {text: text for text in texts}, namespace="")

    def test_mapped(self) -> None:
        """The beginning of a public name becomes that of an upstream name."""
        self.assert_texts(
            NAMESPACE,
            {
                "team/app": "acme_team/app",
                "team/ap": "acme_team/ap",
                "team/": "acme_team/",
                "team/my-": "acme_team/my-",
                "team/app/": "acme_team/app/",
                "lib/to": "mirror/lib_to",
                "lib/": "mirror/lib_",
                # An alias is already mapped.
                "acme_team/app": "acme_team/app",
                "acme_team/": "acme_team/",
            },
        )

    def test_not_here(self) -> None:
        """What no rule maps there is not looked for: nobody is told of it."""
        texts = ("other/app", "tea/m", "/", "/team", "team//a", "Team/app", "a b/c")
        self.assert_texts(NAMESPACE, dict.fromkeys(texts))
        self.assert_texts(NAMESPACE, {"team/é": None, "team/" + "a" * 300: None})
        self.assert_texts(SEVERAL, {"quay/app": None, "quay/": None, "nginx/x": None})

    def test_upstream_prefix(self) -> None:
        """A prefix that only says which upstream goes no further."""
        self.assert_texts(
            SEVERAL,
            {
                "hub/nginx": "nginx",
                "hub/ng-": "ng-",
                "hub/": "",
                "hub/bitnami/nginx": "bitnami/nginx",
                "hub/bitnami/": "bitnami/",
                "hub/library/nginx": "nginx",
                "hub/library/": "library",
                "hub/library": "library",
            },
        )

    def test_into_default_namespace(self) -> None:
        """A rule may lead there by itself."""
        texts: dict[str, str | None] = {"img/ng": "ng", "img/": "library"}
        self.assert_texts(("img = hub:library",), texts)
        self.assert_texts(("img/* = library/*",), texts)

    def test_query(self) -> None:
        """Of the parameters, three are kept: the first of each."""
        rules = searches(*MIRROR)
        for query, sent in (
            ("q=nginx&n=5&page=2", "q=nginx&n=5&page=2"),
            ("page=2&x=y&q=library%2Fnginx&auth=1&n=05", "q=nginx&n=05&page=2"),
            ("q=a&q=b&n=1&n=2", "q=a&n=1"),
            ("q=a&n=&page=", "q=a"),
            ("n=5", "q=&n=5"),
            ("", "q="),
            ("q", "q="),
            ("q=a+b%26n%3D7%23", "q=a%20b%26n%3D7%23"),
            ("q=%C3%A9%2B", "q=%C3%A9%2B"),
            ("q=a/b", "q=a%2Fb"),
        ):
            self.assertEqual(rules.asked(query).upstream_query, sent)

    def test_bad_queries(self) -> None:
        """Numbers that are none, and a text that is none."""
        for query in (
            "n=x",
            "n=-1",
            "page=1.5",
            "page=%D9%A1",
            "n=1234567890",
            "q=%E9",
        ):
            with self.assertRaises(BadRequest):
                searches(*MIRROR).asked(query)

    @EXAMPLES
    @given(st.sampled_from(SETS), names)
    def test_as_mapped(self, rules: tuple[str, ...], name: str) -> None:
        """A whole name is looked for where its images are."""
        asked = searches(*rules).asked(urlencode({"q": name}))
        if "/" not in name:
            self.assertEqual(asked.upstream_text, name)
            return
        try:
            routes = mapping(*rules).routes(name)
        except NameUnknown:
            self.assertIsNone(asked.upstream_text)
            return
        expected = [
            route.upstream_name.removeprefix("library/")
            for route in routes
            if route.upstream == "hub"
        ]
        self.assertEqual([asked.upstream_text], expected or [None])

    @EXAMPLES
    @given(st.sampled_from(SETS), names, st.integers(1, 12))
    def test_beginnings(self, rules: tuple[str, ...], name: str, size: int) -> None:
        """The beginning of a name is looked for as the beginning of its mapping."""
        asked = searches(*rules).asked(urlencode({"q": name[:size]}))
        whole = searches(*rules).asked(urlencode({"q": name}))
        beginning = asked.upstream_text or ""
        if "/" in name[:size] and beginning != "library" and whole.upstream_text:
            self.assertTrue(whole.upstream_text.startswith(beginning))

    @EXAMPLES
    @given(st.sampled_from(SETS), hostile)
    def test_hostile(self, rules: tuple[str, ...], text: str) -> None:
        """Whatever it is, it is one parameter, or none of our business."""
        query = urlencode({"q": text}, errors="surrogateescape")
        try:
            asked = searches(*rules).asked(query)
        except BadRequest:
            self.assertNotEqual(text, text.encode("utf-8", "replace").decode())
            return
        self.assertEqual(asked.text, text)
        sent = parse_qsl(asked.upstream_query, keep_blank_values=True)
        self.assertEqual(sent, [("q", asked.upstream_text or "")])
        self.assertTrue(asked.upstream_query.isascii())


class ResultsTests(SynchronousTestCase):
    def shown(self, rules: tuple[str, ...], text: str, *found: str) -> list[str]:
        """The names that are shown to who looks for a text."""
        search = searches(*rules)
        asked = search.asked(urlencode({"q": text}))
        document = json.loads(search.results(reply(*found), asked, every))
        self.assertEqual(document["query"], text)
        return [result["name"] for result in document["results"]]

    def test_as_asked(self) -> None:
        """With the default namespace when the client writes it, else without."""
        found = ("nginx", "bitnami/nginx", "library/httpd")
        for rules, text, shown in (
            (MIRROR, "nginx", ["nginx", "bitnami/nginx", "httpd"]),
            (
                MIRROR,
                "library/ng",
                ["library/nginx", "bitnami/nginx", "library/httpd"],
            ),
            (SEVERAL, "nginx", ["hub/nginx", "hub/bitnami/nginx", "hub/httpd"]),
            (SEVERAL, "hub/ng", ["hub/nginx", "hub/bitnami/nginx", "hub/httpd"]),
            (
                SEVERAL,
                "hub/library/ng",
                ["hub/library/nginx", "hub/bitnami/nginx", "hub/library/httpd"],
            ),
            (("img = hub:library",), "nginx", ["img/nginx", "img/httpd"]),
            (("lib/* = hub:library/*",), "lib/n", ["lib/nginx", "lib/httpd"]),
        ):
            self.assertEqual(self.shown(rules, text, *found), shown)

    def test_too_many(self) -> None:
        """No more than the client asked for, and no more than a page holds."""
        search = searches(*MIRROR)
        found = reply(*(f"team/app{number}" for number in range(150)))
        for n, count in (("", 100), ("n=0", 100), ("n=7", 7), ("n=1000", 100)):
            asked = search.asked(f"q=app&{n}")
            document = json.loads(search.results(found, asked, every))
            self.assertEqual(len(document["results"]), count)

    def test_no_way_back(self) -> None:
        """A short name that leads elsewhere is not shown."""
        rules = ("hub/* = hub:*", "hub/nginx = quay:nginx/x")
        shown = self.shown(rules, "ng", "nginx", "httpd")
        self.assertEqual(shown, ["hub/library/nginx", "hub/httpd"])

    def test_public_names(self) -> None:
        """By public names, and only what has one."""
        shown = self.shown(
            NAMESPACE,
            "app",
            *("acme_team/app", "app", "other/app", "team/app", "mirror/lib_app"),
            *("mirror/x", "acme_team", "Acme_team/App", "", "/", "acme_team/../x"),
        )
        self.assertEqual(shown, ["team/app", "lib/app", "team"])

    def test_visible(self) -> None:
        """Only what may be seen; that is decided by canonical names."""
        search = searches(*SEVERAL)
        seen: list[str] = []

        def visible(name: str) -> bool:
            seen.append(name)
            return name.endswith("/nginx")

        asked = search.asked("q=n")
        body = search.results(reply("nginx", "node", "a/node"), asked, visible)
        self.assertEqual(
            [r["name"] for r in json.loads(body)["results"]], ["hub/nginx"]
        )
        self.assertEqual(seen, ["hub/library/nginx", "hub/library/node", "hub/a/node"])

    def test_fields(self) -> None:
        """What clients read, of the right kind; the rest may name anything."""
        known = {
            "description": "as in acme_team/app",
            "star_count": 3,
            "pull_count": 5,
            "is_official": False,
            "is_automated": True,
            "is_trusted": False,
        }
        more = {"repo_name": "acme_team/app", "index_name": "hub"}
        search = searches(*NAMESPACE)
        asked = search.asked("q=app")
        for given_fields, shown in (
            (known | more, known),
            ({"description": None, "star_count": 1.5, "is_official": []}, {}),
        ):
            body = {"results": [{"name": "acme_team/app", **given_fields}]}
            document = json.loads(
                search.results(json.dumps(body).encode(), asked, every)
            )
            self.assertEqual(document["results"], [{"name": "team/app", **shown}])

    def test_paging(self) -> None:
        """The numbers are the search service's, so that the next page is there."""
        search = searches(*NAMESPACE)
        paging = {"num_pages": 4, "num_results": 99, "page": 2, "page_size": 25}
        asked = search.asked("q=team%2Fa&n=25&page=2")
        body = reply("x/y", query="acme_team/a", next="acme_team", **paging)
        self.assertEqual(
            json.loads(search.results(body, asked, every)),
            {**paging, "query": "team/a", "results": []},
        )
        body = reply(num_pages="4", page=None, page_size=1.5)
        self.assertEqual(
            json.loads(search.results(body, asked, every)),
            {"query": "team/a", "results": []},
        )

    def test_nothing(self) -> None:
        """What nobody was asked for looks like what was not found."""
        search = searches(*NAMESPACE)
        empty = {"num_pages": 0, "num_results": 0, "results": []}
        for query, paging in (
            ("q=other/a&n=7&page=3", {"page": 3, "page_size": 7}),
            ("q=other/a", {"page": 1, "page_size": 25}),
        ):
            self.assertEqual(
                json.loads(search.nothing(search.asked(query))),
                {**empty, **paging, "query": "other/a"},
            )

    def test_odd(self) -> None:
        """No results at all, and results that are none."""
        search = searches(*NAMESPACE)
        asked = search.asked("q=a")
        for body in (
            b"{}",
            b'{"results": null}',
            b'{"results": [1, null, [], {}, {"name": 5}, {"name": null}]}',
        ):
            document = json.loads(search.results(body, asked, every))
            self.assertEqual(document, {"query": "a", "results": []})

    def test_malformed(self) -> None:
        """What is no reply to a search."""
        search = searches(*NAMESPACE)
        asked = search.asked("q=a")
        for body in (
            b"",
            b"<h1>",
            b"[]",
            b'{"results": {}}',
            b'{"results": "a"}',
            b'{"results": ',
            b'{"results": ' * 100_000,
            b"\xff",
        ):
            with self.assertRaises(UpstreamMalformed):
                search.results(body, asked, every)

    @EXAMPLES
    @given(
        st.sampled_from(SETS),
        st.sampled_from(["a", "library/a", "hub/a", "hub/library/a", "team/a"]),
        st.lists(
            st.one_of(
                names,
                names.map("acme_team/{}".format),
                names.map("library/{}".format),
                names.map("hub_{}".format),
                names.map("acme_{}".format),
                hostile,
            ),
            max_size=5,
        ),
    )
    def test_leads_back(
        self, rules: tuple[str, ...], text: str, found: list[str]
    ) -> None:
        """What is shown leads to what was found, and says nothing else."""
        rules_of_names = mapping(*rules)
        canonical = {}
        for name in found:
            public = rules_of_names.to_public(name, "hub")
            if public is not None:
                full = name if "/" in name else f"library/{name}"
                canonical[public] = full
        shown = self.shown(rules, text, *found)
        routes = [rules_of_names.route(name) for name in shown]
        self.assertEqual(
            {route.public_name: route.upstream_name for route in routes}, canonical
        )
        self.assertEqual({route.upstream for route in routes} - {"hub"}, set())


class PingTests(SynchronousTestCase):
    def test_ping(self) -> None:
        """What docker reads of it."""
        for body, answer in (
            (b"true", True),
            (b'"acme_team"', True),
            (b'["acme_team"]', True),
            (b"null", True),
            (b"{}", {}),
            (b'{"standalone": false, "host": "up"}', {"standalone": False}),
            (b'{"standalone": "acme_team"}', {}),
        ):
            self.assertEqual(json.loads(ping(body)), answer)

    def test_malformed(self) -> None:
        """Somebody's page is no answer."""
        for body in (b"", b"<h1>", b"[" * 100_000, b"\xff\xfe"):
            with self.assertRaises(UpstreamMalformed):
                ping(body)


class RefusedTests(SynchronousTestCase):
    def test_status(self) -> None:
        """The status is the client's; but it cannot bring other credentials."""
        for status, answered, code in (
            (429, 429, "TOOMANYREQUESTS"),
            (503, 503, "UNAVAILABLE"),
            (404, 404, "NAME_UNKNOWN"),
            (418, 418, "UNKNOWN"),
            (499, 499, "UNKNOWN"),
            (500, 502, "UNAVAILABLE"),
            (501, 502, "UNAVAILABLE"),
            (401, 403, "DENIED"),
            (407, 403, "DENIED"),
        ):
            error = refused(status, b"")
            document = json.loads(error.body())
            self.assertEqual((error.status, error.headers), (answered, ()))
            self.assertEqual(document["errors"][0]["code"], code)
            self.assertIn(str(status), document["errors"][0]["message"])

    def test_retry_after(self) -> None:
        """When to come back is said."""
        self.assertEqual(refused(429, b"30").headers, ((b"Retry-After", b"30"),))


class NothingAskedTests(SynchronousTestCase):
    def test_query(self) -> None:
        """A value without a text for the upstream asks for nothing."""
        self.assertEqual(SearchQuery("a/b", None, False, "", "").upstream_query, "q=")
