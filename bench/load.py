"""Clients: `wrk` for many small requests, `curl` for large bodies."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Requests:
    """How many requests were answered, and how long they took, in seconds."""

    count: int
    seconds: float
    median: float
    slowest_of_100: float


def many_requests(
    url: str,
    headers: Mapping[str, str],
    connections: int,
    seconds: int,
    refused: bool = False,
) -> Requests:
    """
    Ask for one URL again and again over connections that stay open.

    With `refused` a status of 400 or more is what is wanted.
    """
    words = [f"{name}: {value}" for name, value in headers.items()]
    done = subprocess.run(
        [
            *("wrk", "--latency", "-t", "1", "-c", str(connections)),
            *("-d", f"{seconds}s", "--timeout", "30s"),
            *(word for line in words for word in ("-H", line)),
            url,
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    ).stdout
    count, lasted = re.findall(r"(\d+) requests in ([\d.]+)s", done)[0]
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    unanswered = re.search(r"Socket errors: (.*)", done)
    if unanswered or bool(wrong) != refused or (wrong and wrong[1] != count):
        raise AssertionError(f"{url} is not answered as it should be:\n{done}")
    return Requests(
        int(count), float(lasted), _latency(done, "50%"), _latency(done, "99%")
    )


def _latency(text: str, which: str) -> float:
    value, unit = re.findall(rf"{which}\s+([\d.]+)(us|ms|s|m)", text)[0]
    return float(value) * UNITS[unit]


def together(commands: Sequence[Sequence[str]], seconds: float = 600) -> float:
    """Run commands at the same time; all must succeed. Return the seconds it took."""
    began = time.monotonic()
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    try:
        for command, process in zip(commands, running, strict=True):
            output, problems = process.communicate(timeout=seconds)
            if process.returncode:
                line = " ".join(command)
                raise AssertionError(f"{line} fails:\n{output}{problems}")
        return time.monotonic() - began
    finally:
        for process in running:
            process.kill()
            process.wait()


def download(url: str, root: str) -> list[str]:
    """Return the command that fetches a blob and forgets it."""
    return [*_curl(root), "--output", "/dev/null", url]


def upload(url: str, root: str, file: str, chunked: bool) -> list[str]:
    """Return the command that sends a file with PATCH."""
    return [
        *_curl(root),
        *("--request", "PATCH", "--upload-file", file, "--output", "/dev/null"),
        *(("--header", "Transfer-Encoding: chunked") if chunked else ()),
        *("--header", "Content-Type: application/octet-stream"),
        # it waits for "100 Continue" otherwise, which some answer late
        *("--header", "Expect:"),
        url,
    ]


def _curl(root: str) -> list[str]:
    return [
        *("curl", "--silent", "--show-error", "--fail-with-body", "--http1.1"),
        *("--cacert", root, "--max-time", "600"),
        *("--header", "Authorization: Bearer t"),
    ]
