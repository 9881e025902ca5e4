"""
What a stranger can ask for at most cost: run ``python -m tests.costs``.

The figures of docs/security.md come from here. Nothing is asserted: how fast a machine
is, is no property of regbroker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import bcrypt

from regbroker.accounts.key_file import make_key
from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.accounts.tokens import InvalidToken
from regbroker.admin.counting import Counting
from regbroker.events import Event
from regbroker.protocol.queries import parse_query
from regbroker.protocol.scopes import repository_scope

ROUNDS = 5


def fastest(what: str, count: int, work: Callable[[int], object]) -> None:
    """Print what one of `count` pieces of work takes, in the best of some rounds."""
    best = float("inf")
    for turn in range(ROUNDS):
        began = time.perf_counter()
        for number in range(count):
            work(turn * count + number)
        best = min(best, time.perf_counter() - began)
    each = best / count
    print(f"{what:44} {each * 1e6:10.1f} us {1 / each:10.0f} a second")


def main() -> None:
    """Measure, and print."""
    with TemporaryDirectory() as directory:
        keys = SigningKeys(make_key(Path(directory)), time.monotonic)
        signer = TokenSigner(keys, "regbroker costs", time.time)
        scopes = (repository_scope("team/app", "pull"),)

        def issued(number: int) -> str:
            return signer.issue_access(f"user{number}", "costs", scopes)

        tokens = [issued(number) for number in range(ROUNDS * 300)]
        forged = [f"{t[:-8]}{'A' if t[-8] != 'A' else 'B'}{t[-7:]}" for t in tokens]

        def refuse(number: int) -> None:
            try:
                signer.check_access(forged[number], "costs")
            except InvalidToken:
                return
            raise AssertionError("a forged token is good")

        def check(number: int) -> None:
            signer.check_access(tokens[number], "costs")

        fastest("a token is signed", 300, issued)
        fastest("a new token is checked", 300, check)
        fastest("a token is checked again", 300, lambda _: check(0))
        fastest("a forged token is refused", 300, refuse)
    counting, event = Counting(), Event(time.monotonic, status=200)
    event.upstream, event.upstream_seconds = "up", 0.01
    fastest("a request is counted", 10_000, lambda _: counting.count(event))
    for cost in (5, 10, 12):
        fastest(f"a wrong password, bcrypt of cost {cost}", 2, wrong_password(cost))
    longest = "&".join(f"scope=repository:a{n}:pull" for n in range(128))
    pieces = "the longest query is taken apart"
    fastest(pieces, 300, lambda _: parse_query(longest).pieces)


def wrong_password(cost: int) -> Callable[[int], object]:
    """Return a check that fails."""
    stored = bcrypt.hashpw(b"right", bcrypt.gensalt(cost))
    return lambda _: bcrypt.checkpw(b"wrong", stored)


if __name__ == "__main__":
    main()
