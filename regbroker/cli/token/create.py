"""``regbroker token create``: a robot token is made, printed once, and not stored."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from regbroker.accounts.access import AccessRules
from regbroker.accounts.key_file import has_key
from regbroker.accounts.narrowing import parse_rights, wider
from regbroker.accounts.principals import Account
from regbroker.accounts.robot_tokens import MAX_LENGTH, PREFIX
from regbroker.accounts.signing import SigningKeys
from regbroker.accounts.tokens import RobotToken
from regbroker.assembly.local_accounts import signer_of
from regbroker.assembly.own_keys import open_keys
from regbroker.assembly.vouched import why_only_claims
from regbroker.cli.known_users import why_unknown
from regbroker.cli.printing import complain, say
from regbroker.cli.token.record import Record, day
from regbroker.errors import BadRequest, StateError
from regbroker.runtime.appended_file import append_line
from regbroker.runtime.unreadable import why_unwritable
from regbroker.settings.config import Config, RegistryConfig

#: Ten years: what lives longer was meant in other units.
MAX_SECONDS = 3660 * 86400

MAX_NOTE_LENGTH = 500

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LIFE = re.compile(r"([0-9]{1,9})([mhdw])")


class NotMade(Exception):
    """No token can be made; each line says why."""


def parse_life(text: str) -> int:
    """Parse how long a token lives, as ``90d``; in seconds. Raises `ValueError`."""
    match = _LIFE.fullmatch(text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(
            f"'{text}' is no time up to ten years; write 90d, 12h, 30m or 4w"
        )
    return seconds


def create(
    config: Config,
    *,
    user: str,
    rights: list[str],
    life: int,
    groups: tuple[str, ...] = (),
    note: str = "",
    registry: str = "",
) -> int:
    """
    Print a new token on standard output, alone; returns the exit status.

    What is known of it goes to standard error, and to the list if there is one.
    """
    try:
        entry = _registry(config, registry)
        text, token = _make(config, entry, user, rights, life, groups)
        record = Record.of(token, _note(note))
        _remember(config, record)
    except NotMade as error:
        complain(f"error: {error}")
        return 1
    say(text)
    complain("\n".join(_facts(record, entry)))
    return 0


def _registry(config: Config, host: str) -> RegistryConfig:
    """Return the registry that the token is for."""
    taking = {
        entry.host: entry
        for entry in config.registries
        if entry.robot_tokens and entry.accounts in config.accounts
    }
    known = ", ".join(taking) or "none yet; write robot-tokens = yes in one"
    if host and host not in taking:
        raise NotMade(
            f"[registry {host}] takes no robot tokens; those that do: {known}"
        )
    if not host and len(taking) != 1:
        raise NotMade(
            "write --registry HOST: a token is for one registry, and those that take "
            f"robot tokens are: {known}"
        )
    return taking[host] if host else next(iter(taking.values()))


def _make(
    config: Config,
    entry: RegistryConfig,
    user: str,
    lines: list[str],
    life: int,
    groups: tuple[str, ...],
) -> tuple[str, RobotToken]:
    assert entry.accounts is not None
    foreign = why_only_claims(config, entry, user)
    if foreign:
        raise NotMade(f"--user: {foreign}")
    unknown = why_unknown(config, entry.accounts, user)
    if unknown:
        raise NotMade(
            f"{unknown}; for a user without a password, write robots = {user} in "
            f"[accounts {entry.accounts}]"
        )
    try:
        rights = parse_rights(lines)
    except ValueError as error:
        raise NotMade(f"--rights: {error}") from None
    rules = entry.access or AccessRules(())
    too_much = list(wider(rights, rules, Account(user, frozenset(groups))))
    if too_much:
        raise NotMade("\nerror: ".join(f"--rights {text}" for text in too_much))
    try:
        signer = signer_of(entry, _keys(config))
        signed, token = signer.issue_robot(user, entry.host, rights.lines, life)
    except (StateError, BadRequest) as error:
        raise NotMade(str(error)) from None
    text = PREFIX + signed
    if len(text) > MAX_LENGTH:
        raise NotMade("--rights: that much does not fit into a token; write patterns")
    return text, token


def _keys(config: Config) -> SigningKeys:
    """Return the keys that the service signs with."""
    directory = Path(config.state_directory)
    if config.signing_key is None and not has_key(directory):
        # Made here, it might belong to a user who is not the service's.
        raise NotMade(
            f"there is no signing key in {directory} yet; start regbroker once, or "
            "write signing-key = FILE in [regbroker]"
        )
    return open_keys(config, lambda path: SigningKeys(path, time.time))


def _note(note: str) -> str:
    if len(note) > MAX_NOTE_LENGTH:
        raise NotMade(f"--note: longer than {MAX_NOTE_LENGTH} characters")
    if len(note.splitlines()) > 1:
        raise NotMade("--note: it has several lines; write one")
    return note


def _remember(config: Config, record: Record) -> None:
    path = config.robot_token_list
    if path is None:
        return
    try:
        append_line(Path(path), record.line())
    except OSError as error:
        raise NotMade(
            f"[regbroker] robot-token-list: {path}: {why_unwritable(error)}"
        ) from None


def _facts(record: Record, entry: RegistryConfig) -> Iterator[str]:
    yield f"id: {record.id}"
    yield f"user: {record.user}"
    host = "every host without a section" if entry.host == "*" else entry.host
    yield f"registry: {host}"
    for line in record.rights:
        yield f"rights: {line}"
    yield f"expires: {day(record.expires)}"
    yield "The password is the line on standard output; it is shown once, and not kept."
