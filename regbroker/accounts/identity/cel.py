"""
Named conditions as expressions in CEL, the Common Expression Language.

`cel-python` is an extra (``regbroker[cel]``): of the libraries for CEL it is the one
that has wheels for all versions of Python that regbroker runs on. It takes RE2 for
regular expressions, so their time grows with the text alone. An expression is about the
variable ``claims``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celpy import Environment
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.celtypes import BoolType
from celpy.evaluation import CELEvalError

#: What a variable is called that an expression does not have.
_UNKNOWN_VARIABLE = "undeclared reference"


class CelConditions:
    """
    The conditions of one section, by name.

    Raises `ValueError` that names the condition which is no expression.
    """

    def __init__(self, expressions: Mapping[str, str]) -> None:
        environment = Environment()
        self._programs = {}
        for name, expression in expressions.items():
            try:
                program = environment.program(environment.compile(expression))
            except CELParseError:
                raise ValueError(
                    f"{name}: '{expression}' is no CEL expression; write for example "
                    "claims.ref.startsWith('refs/tags/')"
                ) from None
            try:
                program.evaluate({"claims": json_to_cel({})})
            except CELEvalError as error:
                # Of claims that are missing, nothing is to be said.
                if _UNKNOWN_VARIABLE in str(error.args[0]):
                    raise ValueError(
                        f"{name}: '{expression}' is about something that is not known; "
                        "write claims.NAME for a claim"
                    ) from None
            self._programs[name] = program

    def __call__(self, claims: Mapping[str, object]) -> frozenset[str]:
        """
        Return the names of the conditions that hold for claims.

        One that cannot be worked out, for example because a claim is missing, or that
        is something else than true or false, does not hold.
        """
        try:
            activation = {"claims": json_to_cel(dict(claims))}
        except (ValueError, TypeError, RecursionError):
            # A number that CEL does not have.
            return frozenset()
        return frozenset(
            name
            for name, program in self._programs.items()
            if _holds(program, activation)
        )


def _holds(program: Any, activation: Mapping[str, object]) -> bool:
    try:
        outcome = program.evaluate(activation)
    except (CELEvalError, ValueError, TypeError, ArithmeticError, RecursionError):
        return False
    # True itself: all else has a truth of its own in Python.
    return isinstance(outcome, BoolType) and bool(outcome)
