"""The ``regbroker`` command: serves a configuration, or answers about it."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from regbroker import __version__
from regbroker.cli.parser import Parser, Version
from regbroker.cli.printing import complain
from regbroker.cli.quick_imports import quick_imports
from regbroker.cli.token.arguments import add_arguments, settle

if TYPE_CHECKING:
    # Imported below, where less is imported before.
    from regbroker.settings.config import Config


#: Unhandled, they end the process, and programs that renew certificates or logs do not
#: know that it has just started. Nothing is read or opened yet, so nothing is missed.
_FOR_LATER = (signal.SIGHUP, signal.SIGUSR1)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line; returns the exit status.

    With `arguments`, it runs as a part of another program, which has its own imports.
    """
    options = _parse(arguments)
    quick = quick_imports() if arguments is None else nullcontext()
    # Each loads what it needs and no more: to load all takes longer than to answer.
    if options.command == "serve":
        for number in _FOR_LATER:
            signal.signal(number, signal.SIG_IGN)
        with quick:
            from regbroker.assembly.main_reactor import install_reactor

            # Before anything asks for one.
            install_reactor()
            from regbroker.cli.serve import serve

        return serve(options.config)
    # The others end soon.
    with quick:
        return _answer(options)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, left = parser.parse_known_args(arguments)
    if options.command == "token":
        left = settle(options, left)
    if left:
        options.parser.refuse(left)
    return options


def _answer(options: argparse.Namespace) -> int:
    """Run one of the commands that answer about a configuration."""
    from regbroker.errors import ConfigurationError

    if options.command == "check":
        from regbroker.cli.check import check

        return check(
            options.config,
            strict=options.strict,
            quiet=options.quiet,
            as_json=options.json,
        )
    from regbroker.assembly.loading import load_config, read_config

    try:
        if options.command in ("explain", "token"):
            config = read_config(options.config)
        else:
            config = load_config(options.config)
    except ConfigurationError as error:
        complain("\n".join(f"error: {problem}" for problem in error.problems))
        return 1
    if options.command == "doctor":
        from regbroker.cli.doctor.command import (
            NoExamination,
            Request,
            doctor,
            login_of,
        )

        if options.password_file and not options.user:
            options.parser.error("--password-file needs --user")
        try:
            login = login_of(options.user, options.password_file)
        except NoExamination as error:
            complain(f"error: {error}")
            return 1
        request = Request(
            image=options.image,
            login=login,
            only=options.only,
            timeout=options.timeout,
            file=Path(options.config),
        )
        return doctor(config, request, as_json=options.json)
    if options.command == "token":
        return _token(config, options)
    from regbroker.cli.explain import explain

    return explain(
        config,
        options.image,
        user=options.user,
        groups=tuple(options.group),
        claims=options.claims,
        action=options.action,
        as_json=options.json,
    )


def _token(config: Config, options: argparse.Namespace) -> int:
    """Run one of the commands for robot tokens."""
    if options.token_command == "list":
        from regbroker.cli.token.listing import show

        return show(config, as_json=options.json)
    if options.token_command == "revoke":
        from regbroker.cli.token.revoke import revoke

        return revoke(config, options.id)
    from regbroker.cli.token.create import create, parse_life

    try:
        life = parse_life(options.expires)
    except ValueError as error:
        complain(f"error: --expires: {error}")
        return 1
    return create(
        config,
        user=options.user,
        rights=options.rights,
        life=life,
        groups=tuple(options.group),
        note=options.note,
        registry=options.registry,
    )


def _seconds(text: str) -> float:
    """Parse a time on the command line."""
    from regbroker.settings.invalid import InvalidValue
    from regbroker.settings.values import seconds

    try:
        return seconds(text)
    except InvalidValue as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> Parser:
    parser = Parser(
        prog="regbroker",
        description="Serve a configuration, check it, explain what it does with a "
        "name, find out why a pull fails, or make tokens for machines.",
        epilog="In the background: twistd regbroker --config FILE",
    )
    parser.add_argument(
        "--version",
        action=Version,
        version=__version__,
        help="print the version, and exit",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser(
        "serve", help="serve in the foreground, for systemd and containers"
    )
    checking = commands.add_parser(
        "check", help="print everything that is wrong, and what would be served"
    )
    explaining = commands.add_parser(
        "explain", help="print where a name leads, who may do what there, and why"
    )
    checking.add_argument(
        "--strict", action="store_true", help="exit with status 1 for warnings, too"
    )
    checking.add_argument(
        "--quiet",
        action="store_true",
        help="print what is wrong with the file alone; do not try its listeners",
    )
    checking.add_argument(
        "--json", action="store_true", help="print JSON, for programs"
    )
    examining = commands.add_parser(
        "doctor", help="ask as a client does, and say what is wrong"
    )
    examining.add_argument(
        "image", nargs="?", default="", metavar="HOST/NAME[:TAG]", help="what to pull"
    )
    examining.add_argument("--user", default="", help="who logs in")
    examining.add_argument(
        "--password-file",
        default="",
        metavar="FILE",
        help="the password of --user; otherwise REGBROKER_PASSWORD is read",
    )
    examining.add_argument(
        "--only",
        default="",
        choices=["clients", "upstream"],
        help="one side alone: regbroker's listeners, or the upstreams",
    )
    examining.add_argument(
        "--timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="for each step (10)",
    )
    examining.add_argument(
        "--json", action="store_true", help="print JSON, for programs"
    )
    add_arguments(
        commands.add_parser("token", help="make, list and revoke robot tokens")
    )
    for command in (serving, checking, explaining, examining):
        command.add_argument(
            "--config", "-c", required=True, metavar="FILE", help="the configuration"
        )
    explaining.add_argument(
        "image",
        metavar="WHAT",
        help="HOST/NAME[:TAG], a URL, an upstream's own name, a scope, a challenge or "
        "a request line",
    )
    explaining.add_argument("--user", default="", help="who has logged in")
    explaining.add_argument(
        "--group",
        action="append",
        default=[],
        help="a group of that user; may be repeated",
    )
    explaining.add_argument(
        "--claims",
        default="",
        metavar="FILE",
        help="the claims of a token, as JSON, in place of --user",
    )
    explaining.add_argument(
        "--action",
        default="",
        choices=["pull", "push", "delete"],
        help="exit with status 1 if this is not allowed",
    )
    explaining.add_argument(
        "--json", action="store_true", help="print JSON, for programs"
    )
    return parser
