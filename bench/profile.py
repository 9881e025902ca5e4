"""
Where a scenario's time goes in regbroker, by room: ``make profile SCENARIO=ping``.

The scenario runs once against regbroker under cProfile. Functions of the interpreter
and of compiled libraries count for the room that calls them. The profiler makes Python
calls dearer than they are, and leaves compiled code as it is: shares tell where to
look, and `make bench` tells what a change brought.
"""

from __future__ import annotations

import argparse
import pstats
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import regbroker

from .scenarios import SCENARIOS, Bench, Setting

PACKAGE = PurePath(regbroker.__file__).parent

#: How `pstats` writes the file of a function that is not of Python.
COMPILED = "~"

#: A function as `pstats` names it: file, line, name.
Function = tuple[str, int, str]


@dataclass
class Share:
    """What a room, or one function, has taken."""

    seconds: float = 0.0
    calls: int = 0

    def add(self, seconds: float, calls: int) -> None:
        """Add some calls."""
        self.seconds += seconds
        self.calls += calls


#: Scenarios that are over before anything is served.
NOT_SERVING = ("start", "check", "explain")


def room_of(file: str) -> str:
    """Return the room of a source file: of regbroker, of Twisted, or a library."""
    path = PurePath(file)
    if path.is_relative_to(PACKAGE):
        return "/".join(("regbroker", path.relative_to(PACKAGE).parts[0]))
    parts = path.parts
    if "site-packages" in parts:
        inside = parts[parts.index("site-packages") + 1 :]
        return "/".join(inside[:2] if inside[0] == "twisted" else inside[:1])
    return "standard library"


def rooms(stats: Mapping[Function, Any]) -> dict[str, Share]:
    """Add up the time inside each room's functions, from `pstats.Stats.stats`."""
    found: dict[str, Share] = defaultdict(Share)
    for (file, _, _), (_, calls, seconds, _, callers) in stats.items():
        if file != COMPILED:
            found[room_of(file)].add(seconds, calls)
            continue
        for caller, (_, count, inside, _) in callers.items():
            found["interpreter" if caller[0] == COMPILED else room_of(caller[0])].add(
                inside, count
            )
    return dict(found)


def report(stats: Mapping[Function, Any], most: int = 25) -> str:
    """Return two tables: rooms, and the functions that take most by themselves."""
    by_room = rooms(stats)
    total = sum(share.seconds for share in by_room.values()) or 1.0
    lines = ["| room | s | share | calls |", "|---|---|---|---|"]
    for room, share in sorted(by_room.items(), key=lambda each: -each[1].seconds):
        part = share.seconds / total
        lines.append(f"| {room} | {share.seconds:.2f} | {part:.1%} | {share.calls} |")
    lines += ["", "| function | s | share | calls |", "|---|---|---|---|"]
    slowest = sorted(stats.items(), key=lambda each: -each[1][2])[:most]
    for (file, line, name), (_, calls, seconds, *_) in slowest:
        where = name if file == COMPILED else f"{room_of(file)}:{line} {name}"
        lines.append(f"| {where} | {seconds:.2f} | {seconds / total:.1%} | {calls} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the arguments, run, and print where the time went."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile", description=__doc__
    )
    known = {each.name: each for each in SCENARIOS if each.name not in NOT_SERVING}
    parser.add_argument("scenario", choices=sorted(known))
    parser.add_argument("--seconds", type=int, default=Setting.seconds)
    parser.add_argument("--mebibytes", type=int, default=256)
    arguments = parser.parse_args()
    setting = Setting(seconds=arguments.seconds, mebibytes=arguments.mebibytes)
    with tempfile.TemporaryDirectory(prefix="regbroker-profile-") as directory:
        bench = Bench(Path(directory), setting)
        bench.profile = Path(directory) / "profile"
        try:
            known[arguments.scenario].measure(bench, "regbroker")
        finally:
            bench.stop()
        stats: Any = pstats.Stats(str(bench.profile))
    print(report(stats.stats), end="")


if __name__ == "__main__":
    main()
