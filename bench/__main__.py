"""
Compare regbroker with what it replaces: ``make bench``.

Everything is on the loopback interface. Every scenario runs against every proxy in
turn, and that several times, so that what else the machine does is shared by all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .proxies import PROXIES
from .report import Row, as_json, picture, rounded, table
from .scenarios import SCENARIOS, Bench, Figures, Scenario, Setting


def run(
    bench: Bench, scenarios: Sequence[Scenario], proxies: Sequence[str], rounds: int
) -> list[Row]:
    """Measure, and say on standard error what is being measured."""
    measured: dict[str, dict[str, list[Figures]]] = {}
    for turn in range(rounds):
        for scenario in scenarios:
            for proxy in proxies:
                if not scenario.is_for(proxy):
                    continue
                figures = scenario.measure(bench, proxy)
                by_proxy = measured.setdefault(scenario.name, {})
                by_proxy.setdefault(proxy, []).append(figures)
                said = ", ".join(
                    f"{rounded(each)} {name}" for name, each in figures.items()
                )
                print(
                    f"{turn + 1}/{rounds} {scenario.name}: {proxy}: {said}",
                    file=sys.stderr,
                    flush=True,
                )
    return [Row(each, measured.get(each.name, {})) for each in scenarios]


def main() -> None:
    """Read the arguments, measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--scenarios", help=f"with commas; of {', '.join(s.name for s in SCENARIOS)}"
    )
    parser.add_argument("--proxies", help=f"with semicolons; of {'; '.join(PROXIES)}")
    parser.add_argument("--seconds", type=int, default=Setting.seconds)
    parser.add_argument("--mebibytes", type=int, default=Setting.mebibytes)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path)
    arguments = parser.parse_args()
    wanted = (arguments.scenarios or "").split(",")
    scenarios = [s for s in SCENARIOS if not arguments.scenarios or s.name in wanted]
    proxies = arguments.proxies.split(";") if arguments.proxies else list(PROXIES)
    setting = Setting(seconds=arguments.seconds, mebibytes=arguments.mebibytes)
    with tempfile.TemporaryDirectory(prefix="regbroker-bench-") as directory:
        bench = Bench(Path(directory), setting)
        try:
            rows = run(bench, scenarios, proxies, arguments.rounds)
        finally:
            bench.stop()
    print(table(rows), end="")
    if arguments.json:
        arguments.json.write_text(as_json(rows))
    if arguments.svg:
        arguments.svg.write_text(picture(rows, proxies))


if __name__ == "__main__":
    main()
