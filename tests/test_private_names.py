"""What is private in Twisted, or in pyOpenSSL, is used in one place only."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.twisted_private.http import ChannelInternals

ROOT = Path(__file__).resolve().parents[1] / "regbroker"
#: The module or package that uses it, for each.
ALONE = {
    "twisted": "regbroker.transport.twisted_private",
    "OpenSSL": "regbroker.transport.pyopenssl_private",
}
#: Public in spite of its spelling: methods of named tuples.
PUBLIC = {"_asdict", "_fields", "_make", "_replace"}
BY_NAME = ("getattr", "setattr", "hasattr", "delattr")


def is_private(name: str) -> bool:
    """Tell whether a name is private by its spelling."""
    return name[:1] == "_" and name[:2] != "__" and name not in PUBLIC


def private_imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """What a module imports from other projects though it is private there."""
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *others = name.split(".")
            known = first == "regbroker" or first in sys.stdlib_module_names
            if not known and any(map(is_private, others)):
                yield f"imports {name}"


def private_names(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, bool, int]]:
    """Private attributes and methods: name, whether of ``self``, and line."""
    for node in nodes:
        owner, name, line = None, "", 0
        if isinstance(node, ast.Attribute):
            owner, name, line = node.value, node.attr, node.lineno
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in BY_NAME
            and isinstance(node.args[1], ast.Constant)
        ):
            owner, name, line = node.args[0], str(node.args[1].value), node.lineno
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and is_private(inner.name):
                    yield inner.name, True, inner.lineno
        if is_private(name):
            own = isinstance(owner, ast.Name) and owner.id in ("self", "cls")
            yield name, own, line


def defined(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that classes and functions of a module define."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                names.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


@cache
def private_in(module: str) -> frozenset[str]:
    """The private attributes and methods of the classes of one module."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return frozenset(name for name, own, _ in private_names(ast.walk(tree)) if own)


def private_in_bases(cls: type) -> set[str]:
    """What is private in the classes of others that a class inherits from."""
    modules = {base.__module__ for base in getattr(cls, "__mro__", ())}
    theirs = {module for module in modules if module.partition(".")[0] in ALONE}
    return {name for module in theirs for name in private_in(module)}


def leanings(source: str, find_class: Callable[[str], type | None]) -> list[str]:
    """Where a module's source uses what is private elsewhere."""
    # to go through the tree takes most of the time
    nodes = list(ast.walk(ast.parse(source)))
    found = list(private_imports(nodes))
    own_names = defined(nodes)
    for name, own, line in private_names(nodes):
        if not own and name not in own_names:
            found.append(f"line {line}: {name} of another object")
    for node in nodes:
        cls = find_class(node.name) if isinstance(node, ast.ClassDef) else None
        inherited = private_in_bases(cls) if cls is not None else set()
        for name, own, line in private_names(ast.walk(node)) if inherited else ():
            if own and name in inherited:
                found.append(f"line {line}: {name} of a base class")
    return found


class OneModuleTests(SynchronousTestCase):
    def test_alone(self) -> None:
        """No other module uses what is private there, or has the same names."""
        for path in sorted(ROOT.rglob("*.py")):
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            if name == "regbroker.__main__" or name.startswith(tuple(ALONE.values())):
                continue
            module = importlib.import_module(name)

            def find_class(name: str, module: Any = module) -> type | None:
                return getattr(module, name, None)

            self.assertEqual(leanings(path.read_text(), find_class), [], name)

    def test_seen(self) -> None:
        """Each way to use what is private is seen."""
        for source, seen in (
            ("from twisted.web._newclient import Request", "imports twisted.web._new"),
            ("import twisted.web._newclient", "imports twisted.web._newclient"),
            ("from twisted.web.http import _DataLoss", "imports twisted.web.http._D"),
            ("request._disconnected", "line 1: _disconnected of another object"),
            ("getattr(request, '_disconnected')", "line 1: _disconnected of another"),
            (
                "class C:\n def f(self): self._savedTimeOut",
                "line 2: _savedTimeOut of a base class",
            ),
            (
                "class C:\n def _finishRequestBody(self): 1",
                "line 2: _finishRequestBody of a base class",
            ),
            (
                "class C:\n def f(self): hasattr(self, '_savedTimeOut')",
                "line 2: _savedTimeOut of",
            ),
        ):
            (line,) = leanings(source, lambda _: ChannelInternals)
            self.assertTrue(line.startswith(seen), line)
        own = "class C:\n def f(self, other): self._mine = other._mine"
        self.assertEqual(leanings(own, lambda _: ChannelInternals), [])

    def test_bound(self) -> None:
        """setup.cfg names the first release of each that nobody has looked at."""
        text = (ROOT.parent / "setup.cfg").read_text()
        for name in r"twisted\[tls\]", "pyopenssl":
            self.assertRegex(text, rf"\n    {name}>=[0-9.]+,<[0-9.]+\n")
