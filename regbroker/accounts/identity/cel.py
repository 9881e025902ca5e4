"""
Named conditions as expressions in CEL, the Common Expression Language.

`cel-python` is an extra (``regbroker[cel]``): of the libraries for CEL it is the one
that has wheels for all versions of Python that regbroker runs on. It takes RE2 for
regular expressions, so their time grows with the text alone. An expression is about the
variable ``claims``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from celpy import Environment, InterpretedRunner
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.celtypes import BoolType
from celpy.evaluation import CELEvalError, Evaluator

#: What a variable is called that an expression does not have.
_UNKNOWN_VARIABLE = "undeclared reference"

#: Turns of all loops (``exists``, ``all``, ``map`` and others) in one expression. A
#: turn takes 0.15 ms, in which nobody else is served, and the lists come from issuers.
MAX_TURNS = 1000

_QUOTED = re.compile(r"'[^']*'")


class CelConditions:
    """
    The conditions of one section, by name.

    Raises `ValueError` that names the condition which is no expression.
    """

    def __init__(self, expressions: Mapping[str, str]) -> None:
        environment = Environment(runner_class=_Runner)
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
            except _TooManyTurns:
                # It is known, and will not hold.
                pass
            self._programs[name] = program

    def __call__(self, claims: Mapping[str, object]) -> frozenset[str]:
        """
        Return the names of the conditions that hold for claims.

        One that cannot be worked out, for example because a claim is missing, or that
        is something else than true or false, does not hold.
        """
        return frozenset(n for n, o in self.outcomes(claims).items() if o is True)

    def outcomes(self, claims: Mapping[str, object]) -> dict[str, bool | str]:
        """
        Return of each condition whether it holds for claims.

        A text says why that cannot be worked out; such a condition does not hold.
        """
        try:
            activation = {"claims": json_to_cel(dict(claims))}
        except (ValueError, TypeError, RecursionError):
            return dict.fromkeys(
                self._programs, "a claim has a value that CEL cannot hold"
            )
        return {
            name: _outcome(program, activation)
            for name, program in self._programs.items()
        }


def _outcome(program: Any, activation: Mapping[str, object]) -> bool | str:
    try:
        outcome = program.evaluate(activation)
    except CELEvalError as error:
        return _why(error)
    except _TooManyTurns:
        return f"its loops have more than {MAX_TURNS} turns"
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return "it fails"
    # True itself: all else has a truth of its own in Python.
    if isinstance(outcome, BoolType):
        return bool(outcome)
    return "it is neither true nor false"


def _why(error: CELEvalError) -> str:
    """Say why an expression cannot be worked out: the library tells of its types."""
    kind, told = error.args[1:3] if len(error.args) > 2 else (None, None)
    if kind is KeyError:
        # The name stands in the message, or beside it.
        name = _QUOTED.search(str(error.args[0])) or _QUOTED.search(str(told))
        return f"{name[0]} is missing" if name else "a claim is missing"
    if kind in (TypeError, AttributeError):
        return "a claim is missing, or of another type than it wants"
    return "it fails"


class _TooManyTurns(Exception):
    """Loops take too long; none of the library's errors, which it may pass over."""


class _Turns:
    """The turns that are left to the loops of an expression, together."""

    def __init__(self) -> None:
        self._left = MAX_TURNS

    def take(self) -> None:
        """Take one; raises `_TooManyTurns`."""
        self._left -= 1
        if self._left < 0:
            raise _TooManyTurns


class _Evaluator(Evaluator):
    """Works an expression out; what loops repeat has evaluators of its own."""

    turns: _Turns
    is_inside = False

    def sub_evaluator(self, ast: Any) -> Evaluator:
        inner = _Evaluator(ast, self.activation)
        inner.turns, inner.is_inside = self.turns, True
        return inner

    def evaluate(self, context: Any = None) -> Any:
        if self.is_inside:
            self.turns.take()
        return super().evaluate(context)


class _Runner(InterpretedRunner):
    def evaluate(self, context: Any) -> Any:
        evaluator = _Evaluator(self.ast, self.new_activation())
        evaluator.turns = _Turns()
        return evaluator.evaluate(context)
