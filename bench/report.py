"""The table, the JSON file and the picture that come out of a run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .scenarios import Figures, Scenario

BASE = "nginx, copied"

BAR_HEIGHT = 13
LABEL_WIDTH = 250
PLOT_WIDTH = 420


@dataclass(frozen=True)
class Row:
    """One scenario: for each proxy that was measured, the figures of each round."""

    scenario: Scenario
    rounds: Mapping[str, Sequence[Figures]]

    def medians(self, proxy: str) -> dict[str, float]:
        """Return the median of each figure."""
        rounds = self.rounds[proxy]
        return {name: median(each[name] for each in rounds) for name in rounds[0]}

    def compared(self, proxy: str) -> tuple[str, float]:
        """Return name and median of the figure that proxies are compared by."""
        return next(iter(self.medians(proxy).items()))

    def ratio(self, proxy: str, base: str = BASE) -> float | None:
        """Return the figure over that of another proxy; None where one is missing."""
        if proxy not in self.rounds or base not in self.rounds:
            return None
        divisor = self.compared(base)[1]
        return self.compared(proxy)[1] / divisor if divisor else None


def rounded(value: float) -> str:
    """Return a figure for people, of three digits that count: ``1,650``, ``0.0451``."""
    return f"{float(f'{value:.3g}'):,.12g}"


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table of medians, with the ratio to the first proxy."""
    lines = [
        f"| scenario | proxy | figure | ratio to {BASE} | others |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        for proxy in row.rounds:
            figures = row.medians(proxy)
            (name, value), *others = figures.items()
            spread = [each[name] for each in row.rounds[proxy]]
            ratio = row.ratio(proxy)
            lines.append(
                f"| {row.scenario.title} | {proxy} "
                f"| {rounded(value)} {name} "
                f"({rounded(min(spread))} to {rounded(max(spread))}) "
                f"| {'' if ratio is None else f'{ratio:.2f}'} "
                f"| {', '.join(f'{rounded(each)} {key}' for key, each in others)} |"
            )
    return "\n".join(lines) + "\n"


def as_json(rows: Sequence[Row]) -> str:
    """Return everything that was measured, and where."""
    measured: dict[str, Any] = {
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "scenarios": {
            row.scenario.name: {
                "title": row.scenario.title,
                "proxies": {
                    proxy: {"medians": row.medians(proxy), "rounds": list(rounds)}
                    for proxy, rounds in row.rounds.items()
                },
            }
            for row in rows
        },
    }
    return json.dumps(measured, indent=1) + "\n"


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"


STYLE = """\
<style>
.t { fill: #1c2330; font: 13px system-ui, sans-serif }
.v { fill: #4a5568; font: 11px system-ui, sans-serif }
.grid { stroke: #c8cfda }
.p0 { fill: #9aa5b5 } .p1 { fill: #6b7a90 } .p2 { fill: #b8a37e }
.p3 { fill: #a58fb8 } .p4 { fill: #1a66d0 } .p5 { fill: #8fb8a0 }
@media (prefers-color-scheme: dark) {
 .t { fill: #e6ebf4 } .v { fill: #b4bfd1 } .grid { stroke: #3d4757 }
 .p4 { fill: #6aa8ff }
}
</style>"""


def picture(rows: Sequence[Row], proxies: Sequence[str]) -> str:
    """
    Return an SVG: for each scenario a bar for each proxy, as ratio to the first one.

    Shorter is better. Bars end at three times the first one's; their numbers do not.
    """
    parts: list[str] = []
    height = 30
    for place, proxy in enumerate(proxies):
        left = 10 + place * 130
        parts.append(
            f'<rect class="p{place}" x="{left}" y="8" width="12" height="12"/>'
        )
        parts.append(f'<text class="t" x="{left + 18}" y="19">{proxy}</text>')
    for row in rows:
        top = height
        for proxy in row.rounds:
            ratio = row.ratio(proxy)
            if ratio is None:
                continue
            width = min(ratio, 3) / 3 * PLOT_WIDTH
            name, value = row.compared(proxy)
            parts.append(
                f'<rect class="p{list(proxies).index(proxy)}" x="{LABEL_WIDTH}"'
                f' y="{height}" width="{width:.1f}" height="{BAR_HEIGHT - 2}"/>'
                f'<text class="v" x="{LABEL_WIDTH + width + 6:.1f}" y="{height + 10}">'
                f"{ratio:.2f} ({rounded(value)} {name})</text>"
            )
            height += BAR_HEIGHT
        middle = (top + height) / 2 + 4
        parts.append(
            f'<text class="t" x="{LABEL_WIDTH - 8}" y="{middle:.0f}"'
            f' text-anchor="end">{row.scenario.title}</text>'
        )
        height += 8
    one = LABEL_WIDTH + PLOT_WIDTH / 3
    grid = f'<line class="grid" x1="{one}" y1="26" x2="{one}" y2="{height}"/>'
    total = LABEL_WIDTH + PLOT_WIDTH + 180
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}"'
            f' role="img" aria-label="Cost relative to {BASE}; shorter is better">',
            STYLE,
            grid,
            *parts,
            "</svg>\n",
        ]
    )
