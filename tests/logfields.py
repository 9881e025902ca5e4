"""What clients may write into the lines of a log, and how these are read."""

import re

_FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^" ]+)(?: |$)')

#: What people write into forms.
ATTACKS = (
    "a b",
    "alice status=200 outcome=done",
    "alice\nclient=10.0.0.1 user=root",
    "alice\r\n",
    "alice\x1b[2K",
    "\0",
    '"',
    'alice" status="200',
    "\\",
    'é\\" status=200 x="',
    "CORP\\alice",
    "é",
    "\x85\u2028\u2029",
    "\udce9",
    "{line}",
    "%s %(x)s",
    "a=b",
    "x" * 10_000,
    "é " * 10_000,
)


def fields(line: str) -> list[tuple[str, str]]:
    """Read a line as its readers do: words, quoted where they are odd."""
    found, position = [], 0
    while match := _FIELD.match(line, position):
        found.append((match[1], match[2]))
        position = match.end()
    if position < len(line):
        raise ValueError(f"not a field: {line[position:]!r}")
    return found
