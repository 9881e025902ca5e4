"""The steps of an examination, as values, and as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


class Stopped(Exception):
    """A step has failed that the others need."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong, in plain words, and what to change."""

    problem: str
    advice: str = ""


@dataclass(frozen=True)
class Step:
    """
    One thing that was tried.

    `side` says with whom, `seconds` how long it took, `seen` what came back, without
    secrets. `trouble` is None where all is well. Without `examined`, `seen` says why
    nothing was tried.
    """

    side: str
    name: str
    seconds: float
    seen: str = ""
    trouble: Trouble | None = None
    examined: bool = True

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "side": self.side,
            "step": self.name,
            "seconds": round(self.seconds, 4),
            "seen": self.seen,
            "ok": self.trouble is None,
            "examined": self.examined,
            "problem": self.trouble.problem if self.trouble else None,
            "advice": self.trouble.advice if self.trouble else None,
        }


def lines(steps: Iterable[Step]) -> Iterator[str]:
    """Yield lines: each side once, and its steps below it."""
    side = None
    for step in steps:
        if step.side != side:
            side = step.side
            yield side
        mark = "ok  " if step.trouble is None else "FAIL"
        if not step.examined:
            yield f"  --   {step.name}: {step.seen}"
            continue
        seen = f"  {step.seen}" if step.seen else ""
        yield f"  {mark} {step.name:<14} {_time(step.seconds):>8}{seen}"
        if step.trouble is not None:
            yield f"       {step.trouble.problem}"
            if step.trouble.advice:
                yield f"       -> {step.trouble.advice}"


def counted(steps: Sequence[Step]) -> str:
    """Return how many steps there are, and how they ended."""
    examined = [step for step in steps if step.examined]
    failed = sum(step.trouble is not None for step in examined)
    left_out = len(steps) - len(examined)
    outcome = f"{failed} failed" if failed else "all is well"
    said = f"{len(examined)} step{'' if len(examined) == 1 else 's'}, {outcome}"
    if not examined:
        said = "nothing was examined"
    return said + (f"; not examined: {left_out}" if left_out else "")


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
