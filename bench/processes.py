"""Processes whose time and memory are measured, out of /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and all that it has started, and these have started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds, user and system, that a tree of processes has used."""
    ticks = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        # utime, stime, and those of children that have ended (proc(5))
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def resident_bytes(pid: int) -> int:
    """Return the memory that a tree of processes has to itself, shared parts apart."""
    return sum(_kibibytes(one, "smaps_rollup", "Pss:") for one in tree(pid)) * 1024


def peak_bytes(pid: int) -> int:
    """Return the sum of the highest resident sizes since `forget_peak`."""
    return sum(_kibibytes(one, "status", "VmHWM:") for one in tree(pid)) * 1024


def forget_peak(pid: int) -> None:
    """Let the highest resident size begin anew."""
    for one in tree(pid):
        Path(f"/proc/{one}/clear_refs").write_text("5")


def _kibibytes(pid: int, file: str, field: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(f"/proc/{pid}/{file} has no {field}")
