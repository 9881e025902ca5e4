"""
The command line of ``regbroker token``.

The file stands behind ``--config``, as in all commands. At first it stood alone, before
the id that is revoked: that goes on to work, and no help tells of it.
"""

from __future__ import annotations

import argparse

from regbroker.cli.parser import Parser


def add_arguments(parser: Parser) -> None:
    """Add the commands for robot tokens; see `settle`."""
    commands = parser.add_subparsers(dest="token_command", required=True)
    creating = commands.add_parser("create", help="print a new token, once")
    listing = commands.add_parser("list", help="print which tokens were made")
    revoking = commands.add_parser("revoke", help="have a token refused from now on")
    for command in (creating, listing, revoking):
        command.add_argument("--config", "-c", metavar="FILE", help="the configuration")
    creating.add_argument("--user", required=True, help="who logs in with it")
    creating.add_argument(
        "--rights",
        action="append",
        required=True,
        metavar="'PATTERNS: ACTIONS'",
        help="as in an access section, such as 'team/**: pull'; may be repeated",
    )
    creating.add_argument(
        "--expires", required=True, metavar="TIME", help="how long it is good: 90d, 12h"
    )
    creating.add_argument("--note", default="", help="what it is for, for the list")
    creating.add_argument(
        "--registry",
        default="",
        metavar="HOST",
        help="the registry that it is for, if several take robot tokens",
    )
    creating.add_argument(
        "--group",
        action="append",
        default=[],
        help="a group of that user; may be repeated",
    )
    listing.add_argument("--json", action="store_true", help="print JSON, for programs")
    revoking.add_argument("id", metavar="ID", help="its id, or the token itself")


def settle(options: argparse.Namespace, left: list[str]) -> list[str]:
    """
    Take the file out of the words that `parse_known_args` has left, if it is there.

    Return what is left then. Without a file, the process ends with status 2.
    """
    left = list(left)
    words = [word for word in left if not word.startswith("-")]
    if options.config is None and words:
        left.remove(words[0])
        options.config = words[0]
        if options.token_command == "revoke":
            # The first word was taken for the id.
            options.config, options.id = options.id, words[0]
    if options.config is None:
        options.parser.error("the following arguments are required: --config")
    return left
