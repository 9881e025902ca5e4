"""
The pages of the documentation that are printed from tables in the code.

``make docs`` writes them anew; `tests.test_printed` fails when they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from regbroker import audit
from regbroker.accounts.access import ACTIONS
from regbroker.admin.metric_table import METRICS
from regbroker.events import FIELDS
from regbroker.protocol.header_table import (
    HOP_BY_HOP,
    OPEN,
    REPLIES,
    REQUESTS,
    Direction,
    Row,
)
from regbroker.protocol.names import METHODS
from regbroker.protocol.queries import MAX_PIECES
from regbroker.protocol.query_table import TABLE
from regbroker.runtime.json_lines import MAX_TEXT as MAX_TEXT_OF_JSON
from regbroker.runtime.logfmt import MAX_TEXT
from regbroker.settings.options import KINDS

DOCS = Path(__file__).resolve().parents[1] / "docs"

HEADERS = """\
# Which headers go where

Printed by `make docs` from `regbroker/protocol/header_table.py`, from which all code
takes its decisions. *passes*: as it came. *anew*: regbroker writes it. *no*: it ends
here. A name with a star stands for all that begin so and have no row of their own.

## In both directions: these end with their connection

Also what a `Connection` header names (RFC 9110, 7.6.1).

{hop_by_hop}

## Requests

*As itself*: to an upstream where the client's account is. *As us*: to an upstream
where regbroker speaks, with an account of its own or nobody's. *Storage*: to another
server that an upstream redirects to, with `redirects = follow`. *Of a list*, *of an
upload*: what differs there. *Pages*: web pages may send it (`cors-origins`). What has
no row ends here, and so does a name with an underscore: servers behind CGI take it for
one with a hyphen.

{requests}

## Replies

*Client*: an upstream's reply. *Followed*: what the client is told of a redirect that is
followed, beside what the storage says. *Storage*: a storage's reply; *busy* (429, 503)
and *no range* (416): the same when it refuses. *Limits*: the reply of a token service,
and of an upstream to what regbroker asks for itself. *Our body*: what differs with a
body that regbroker writes: errors, tag lists. *Pages*: web pages may see it. What has
no row passes from the upstream to the client; otherwise it ends here.

{replies}
"""


QUERIES = """\
# What a query may hold

Printed by `make docs` from `regbroker/protocol/query_table.py`, of which the query of
each request to an upstream is made. What an endpoint knows goes up as it was written,
in its place. It comes once, unless it may repeat: 400 otherwise, and for a value that
makes no sense. `ns` is regbroker's own, on every path under `/v2`, and is taken out
first.

{queries}

A query, or a form, of more than {pieces} parameters is 400, and so is a target with a
`#`. In the query of a POST a `;` is 400, too; in the state of an upload, where `mount`
or `from` stands behind it.

Requests to a token service and to a search service are made here, of what is known:
`service`, `scope` (may repeat), `account`, `client_id`, `offline_token`, and in a form
`grant_type`, `access_type`, `username`, `password`, `refresh_token`; `q`, `n`, `page`.
"""

CONFIGURATION = """\
# The configuration file

Printed by `make docs` from `regbroker/settings/options.py`, from which files are read.
[`etc/regbroker.ini`](../etc/regbroker.ini) is the configuration as shipped, with a
comment for each option; `etc/examples/` has whole files for common tasks.

A file has sections, and sections have lines `option = value`. Where a value has "one a
line", these lines are indented. A line that begins with `;` or `#` is a comment, and so
is what follows ` ;` in a line. Relative paths start from the directory of the file.
Numbers are written in digits. Seconds may have a fraction.

`regbroker check --config FILE` prints everything that is wrong with a file, and exits
with status 1: unknown sections and options, wrong values, and what is ambiguous or
unsafe. It prints warnings about what has no effect: an option, a section or an access
rule that nothing uses. With warnings alone it exits with status 0. twistd starts with
warnings, and logs each once.

{sections}

## `[access NAME]`

The rights of the accounts of regbroker's own. Each option is a user, an `@group`,
`authenticated` (every user who has logged in) or `anonymous` (everybody), or
`NAME[claim=text, ...]`: whom the issuer of `[identity NAME]` vouches for, if all
conditions hold ([Identities](identities.md)). Each of its lines is `PATTERNS:
ACTIONS`, such as `team/**, tools/*: pull, push`.

Patterns are about public repository names: `*` is any text between two slashes, `**`
any number of parts, `${{user}}` the name of the user, `${{claim}}` what a claim of an
identity holds. Actions are {actions}, or `*` for
all. Rules only grant, and their grants add up. A push needs `pull`, too.
"""

LOGS = """\
# The log

Printed by `make docs` from `regbroker/events.py`. [Running](operating.md) says where
the log is and how to use it.

## Requests

Each request has one line, when it is over, with the namespace `regbroker.events`. The
fields are in this order. In a line, `-` stands for what is not known. A text that has
spaces or is no plain ASCII is in quotes, with `?` for what a line cannot hold, and
texts end after {max_text} characters. Times are in seconds. Programs that embed
regbroker find the same fields as keywords of the Twisted log event, with `None` for
what is not known.

{fields}

## All lines as JSON

With `log-format = json`, each line of the log is one JSON object, in ASCII and shorter
than 48 KiB, which is what journald takes as one. Each has:

| field | meaning |
| --- | --- |
| `time` | when it was logged: ISO 8601, UTC, with milliseconds |
| `level` | `debug`, `info`, `warn`, `error` or `critical` |
| `namespace` | the part of the program that tells it |
| `message` | a text for people |

Behind these stand the fields of the event that are texts, numbers, `true`, `false` or
`null`: for a request, those above. Texts end after {max_json} characters. Where
something failed in a way that nobody expected, `traceback` has the traceback. A failed
request's `request_id` stands there, too. With several workers, `worker` is the number
of the one that has logged it; what the process in front of them logs has none.

## The audit log

It has the namespace `regbroker.audit`, and these fields:

{audit_fields}

| action | what is told |
| --- | --- |
{actions}

| outcome | meaning |
| --- | --- |
{outcomes}

Requests that only tell a client where to log in (401 without credentials) are not in
it.
"""

METRICS_PAGE = """\
# The metrics

Printed by `make docs` from `regbroker/admin/metric_table.py`, of which metrics are
made. `admin-listen` opens the listener where `/metrics` is; [Running](operating.md)
says how to use it.

{metrics}

- `registry` is the section, `*` for the default one, and `none` where no section serves
  the Host that was asked for.
- `endpoint` is that of the API: `base` (`/v2/`), `manifest`, `blob`, `uploads` (the
  start of one), `upload`, `tags`, `catalog`, `referrers`, `extension`; `token` for the
  token service, `search`, and `other` for what is none of these.
- `upstream` is the section.
- `outcome` of a proxied request is one of the causes in [Running](operating.md).
- `code` is an [error code of the OCI specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes),
  as the client has got it.

A histogram has `NAME_bucket`, `NAME_sum` and `NAME_count`. The process has metrics of
its own: `process_cpu_seconds_total`, `process_resident_memory_bytes`,
`process_open_fds`, `process_max_fds`, `process_virtual_memory_bytes`,
`process_start_time_seconds`.

{compared}
"""

#: Metrics of distribution and of Harbor, and those that say the same here.
COMPARED = {
    "`registry_http_requests_total`": "`regbroker_http_requests_total`",
    "`harbor_core_http_request_total`, by `operation`": (
        "`regbroker_http_requests_total`, by `endpoint`"
    ),
    "`registry_http_in_flight_requests`, `harbor_core_http_inflight_requests`": (
        "`regbroker_requests_under_way`"
    ),
    "`registry_http_request_duration_seconds`, "
    "`harbor_core_http_request_duration_seconds`": (
        "`regbroker_http_request_duration_seconds`"
    ),
    "`registry_proxy_requests_total`, by `type`": (
        "`regbroker_proxied_requests_total`, by `endpoint` and `outcome`"
    ),
    "`registry_proxy_misses_total`": "the same: regbroker keeps no images",
    "`registry_proxy_pushed_bytes_total`": "`regbroker_received_bytes_total`",
    "`registry_proxy_pulled_bytes_total`": "`regbroker_sent_bytes_total`",
}

#: Kinds of messages: their columns say where a header goes after all not.
NARROW = (Direction.LIST, Direction.UPLOAD, Direction.OUR_BODY)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a ``|`` in a cell does not end it."""
    written = [[cell.replace("|", "\\|") for cell in cells] for cells in rows]
    lines = [titles, ["---"] * len(titles), *written]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(row: Row, direction: Direction) -> str:
    if row.goes(direction):
        return "" if direction in NARROW else "passes"
    return "anew" if row.anew & direction else "no"


def _header_table(rows: Sequence[Row], ways: Mapping[Direction, str]) -> str:
    """A table of headers; `ways` are its columns with their titles."""
    others = [
        "" if direction in NARROW else "passes" if direction & OPEN else "no"
        for direction in ways
    ]
    return table(
        ["header", *ways.values(), "why"],
        [
            *(
                [f"`{r.name}`", *(_cell(r, direction) for direction in ways), r.why]
                for r in rows
            ),
            ["any other", *others, "nobody has thought of it"],
        ],
    )


def queries_page() -> str:
    """What goes into ``queries.md``."""
    rows = []
    for entry in TABLE:
        other = [e for e in TABLE if e.endpoint is entry.endpoint and e is not entry]
        said = {method for one in other for method in one.methods}
        left = [m for m in METHODS[entry.endpoint] if m not in said]
        known = [
            f"`{one.name}`{' (may repeat)' if one.may_repeat else ''}: {one.what}"
            for one in entry.known
        ]
        rows.append(
            [
                entry.endpoint.value,
                ", ".join(entry.methods or left),
                "; ".join(known) or "nothing",
                entry.others.value,
            ]
        )
    return QUERIES.format(
        pieces=MAX_PIECES,
        queries=table(
            ["endpoint", "methods", "what it knows", "what else comes"], rows
        ),
    )


def headers_page() -> str:
    """What goes into ``headers.md``."""
    return HEADERS.format(
        hop_by_hop=table(
            ["header", "why"], ([f"`{row.name}`", row.why] for row in HOP_BY_HOP)
        ),
        requests=_header_table(
            REQUESTS,
            {
                Direction.CLIENT: "as itself",
                Direction.OURS: "as us",
                Direction.TO_STORAGE: "storage",
                Direction.LIST: "of a list",
                Direction.UPLOAD: "of an upload",
                Direction.PAGE_SENDS: "pages",
            },
        ),
        replies=_header_table(
            REPLIES,
            {
                Direction.REPLY: "client",
                Direction.FOLLOWED: "followed",
                Direction.FROM_STORAGE: "storage",
                Direction.BUSY: "busy",
                Direction.NO_RANGE: "no range",
                Direction.LIMITS: "limits",
                Direction.OUR_BODY: "our body",
                Direction.PAGE_SEES: "pages",
            },
        ),
    )


def configuration_page() -> str:
    """What goes into ``configuration.md``."""
    sections = []
    for kind in KINDS.values():
        rows = [
            [
                f"`{option.name}`",
                option.meaning,
                "required" if option.required else _default(options.default(option)),
            ]
            for options in kind.tables
            for option in options.options
        ]
        sections.append(
            f"## `{kind.title}`\n\n{kind.meaning}\n\n"
            + table(["option", "meaning", "default"], rows)
        )
    return CONFIGURATION.format(
        sections="\n\n".join(sections),
        actions=", ".join(f"`{action}`" for action in ACTIONS),
    )


def logs_page() -> str:
    """What goes into ``logs.md``."""
    return LOGS.format(
        max_text=MAX_TEXT,
        fields=table(
            ["field", "meaning"],
            ([f"`{name}`", meaning] for name, meaning in FIELDS.items()),
        ),
        max_json=MAX_TEXT_OF_JSON,
        audit_fields=table(
            ["field", "meaning"],
            ([f"`{name}`", meaning] for name, meaning in audit.FIELDS.items()),
        ),
        actions="\n".join(f"| `{k}` | {v} |" for k, v in audit.ACTIONS.items()),
        outcomes="\n".join(f"| `{k}` | {v} |" for k, v in audit.OUTCOMES.items()),
    )


def metrics_page() -> str:
    """What goes into ``metrics.md``."""
    rows = [
        [
            f"`{metric.name}`",
            metric.kind.value,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.meaning,
        ]
        for metric in METRICS
    ]
    return METRICS_PAGE.format(
        metrics=table(["metric", "kind", "labels", "meaning"], rows),
        compared=table(["asked of distribution or Harbor", "here"], COMPARED.items()),
    )


def _default(text: str) -> str:
    """A default: in words, or as it is written."""
    return f"`{text}`" if text and " " not in text else text


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration_page,
    "headers.md": headers_page,
    "logs.md": logs_page,
    "metrics.md": metrics_page,
    "queries.md": queries_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
