"""
What options of ``[identity NAME]`` may hold: text in, value out.

Each function raises `regbroker.settings.values.InvalidValue` with a sentence that says
what would be right.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from regbroker.accounts.claims import Condition, parse_condition
from regbroker.accounts.identity.algorithms import ALGORITHMS
from regbroker.accounts.identity.users import (
    Template,
    parse_group_template,
    parse_template,
)
from regbroker.settings.addresses import server_url
from regbroker.settings.invalid import InvalidValue, parse_each, shown
from regbroker.settings.values import lines

#: Kubernetes allows 5 minutes between the clocks of a cluster.
MAX_LEEWAY = 300


def issuer(text: str) -> str:
    """Check the name of an issuer: an https URL, just as its tokens have it."""
    url = server_url(text)
    if url is None or url.origin.scheme != "https" or "?" in text:
        raise InvalidValue(
            "write https://HOST, with a path if need be, exactly as iss in the tokens"
        )
    return text


def audience(text: str) -> tuple[str, ...]:
    """Parse audiences, separated by spaces, commas or lines."""
    audience = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not audience:
        raise InvalidValue("empty; write what aud is in tokens for this registry")
    return audience


def keys(text: str) -> PurePath | str:
    """Parse where an issuer's keys are: an https URL, or a file."""
    if not text:
        raise InvalidValue("empty; write a path or an https URL")
    if not re.match("[a-z]+:", text):
        return PurePath(text)
    url = server_url(text)
    if url is None or url.origin.scheme != "https":
        raise InvalidValue(f"'{shown(text)}' is neither a path nor an https URL")
    return text


def algorithms(text: str) -> tuple[str, ...]:
    """Parse the algorithms of signatures."""
    algorithms = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not algorithms:
        raise InvalidValue(f"empty; there are: {', '.join(ALGORITHMS)}")
    return parse_each(algorithms, _algorithm)


def _algorithm(text: str) -> str:
    if text not in ALGORITHMS:
        raise InvalidValue(f"'{text}' is not taken; there are: {', '.join(ALGORITHMS)}")
    return text


def leeway(text: str) -> float:
    """Parse by how many seconds clocks may differ."""
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > MAX_LEEWAY:
        raise InvalidValue(f"'{text}' is not a number of seconds up to {MAX_LEEWAY}")
    return float(text)


def required_claims(text: str) -> tuple[Condition, ...]:
    """Parse conditions on claims, separated by commas or lines."""
    return parse_each(lines(text.replace(",", "\n")), _required_claim)


def _required_claim(text: str) -> Condition:
    try:
        condition = parse_condition(text)
    except ValueError as error:
        raise InvalidValue(str(error)) from None
    if not condition.alternatives:
        raise InvalidValue(f"'{condition}': write claim=text, or claim=* for any")
    return condition


def user(text: str) -> Template:
    """Parse the template of users."""
    try:
        return parse_template(text)
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def groups(text: str) -> tuple[Template, ...]:
    """Parse templates of groups, one a line."""
    return parse_each(lines(text), _group)


def _group(text: str) -> Template:
    try:
        return parse_group_template(text)
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def conditions(text: str) -> dict[str, str]:
    """Parse ``NAME = EXPRESSION`` lines; the expressions are CEL."""
    table: dict[str, str] = {}

    def add(line: str) -> None:
        name, equals, expression = (part.strip() for part in line.partition("="))
        if not (equals and expression and re.fullmatch("[A-Za-z0-9_-]+", name)):
            raise InvalidValue(
                f"'{line}' is not 'NAME = EXPRESSION', with a CEL expression about "
                "claims"
            )
        if name in table:
            raise InvalidValue(f"'{name}' stands twice; once is right")
        table[name] = expression

    parse_each(lines(text), add)
    return table
