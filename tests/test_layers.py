"""Imports go down only, every module has its place, and the ground is pure."""

import ast
import re
from fnmatch import fnmatch
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

# The lowest room first. A module imports only from its own room and the rooms before
# it.
ROOMS = (
    "ground",
    "protocol",
    "naming",
    "runtime",
    "transport",
    "transport.twisted_private",
    "transport.flow",
    "transport.tls",
    "transport.server",
    "transport.listening",
    "transport.certificates",
    "transport.client",
    "transport.bodies",
    "accounts",
    "settings",
    "upstream",
    "broker",
    "web",
    "sandbox",
    "admin",
    "assembly",
    "workers",
    "edges",
)
# What lies flat: the public API, what the log says of requests, and edges.
FLAT = {
    "__init__": "ground",
    "errors": "ground",
    "causes": "ground",
    "events": "runtime",
    "audit": "runtime",
    "channel": "transport.bodies",
    "credchecker": "accounts",
    "service": "assembly",
    "testing": "assembly",
    "cli": "edges",
    "tap": "edges",
    "__main__": "edges",
}
# Rooms and modules that know no reactor, file, socket or clock.
PURE = [
    "errors",
    "causes",
    "protocol",
    "protocol.*",
    "naming",
    "naming.*",
    "settings",
    "settings.*",
    "accounts.principals",
    "accounts.access",
    "accounts.access_section",
    "accounts.claims",
    "accounts.identity.*",
    "accounts.globs",
    "accounts.unreachable_access",
    "accounts.patterns",
    "accounts.pattern_cover",
    "accounts.narrowing",
    "accounts.decisions",
    "accounts.rights_tests",
    "accounts.throttle",
    "accounts.check_places",
    "accounts.line_numbers",
    "accounts.robot_users",
    "accounts.tokens",
    "accounts.token_parsing",
    "accounts.sealing",
    "accounts.ldap.answers",
    "accounts.ldap.filter_encoding",
    "accounts.ldap.filters",
    "accounts.ldap.names",
    "accounts.ldap.refusals",
    "accounts.ldap.url",
    "runtime.bounded_memory",
    "runtime.keyed_hash",
    "runtime.logfmt",
    "runtime.utf16",
    "transport.listening.connection_limits",
    "transport.server.pace",
    "transport.server.whole_heads",
    "transport.listening.listeners",
    "transport.certificates.pem_files",
    "transport.client.tunnel_failures",
    "transport.certificates.rules",
    "upstream.discovery",
    "upstream.policy",
    "upstream.login_record",
    "upstream.circuit_breaker",
    "upstream.manifest_memory",
    "upstream.token_cache",
    "upstream.search_rules",
    "broker.mounts",
    "broker.principal",
    "broker.token_users",
    "broker.wanted_scopes",
    "web.carried_uploads",
    "web.mapped_target",
    "admin.metric_table",
    "admin.counting",
    "admin.adding_up",
    "admin.certificates",
    "admin.families",
    "admin.readable",
    "admin.refusals",
    "assembly.inheritance",
    "assembly.named_conditions",
    "assembly.vouched",
    "cli.doctor.answers",
    "cli.doctor.diagnosis",
    "cli.doctor.registry_rules",
    "cli.doctor.steps",
    "cli.explanation",
    "cli.questions",
]
#: Of `PURE`, those that are not.
NOT_PURE = {"accounts.identity.key_cache", "accounts.identity.key_file"}
#: The records of requests, which what is pure may read.
RECORDS = {"events", "audit"}
IMPURE = {"twisted", "OpenSSL", "time", "os", "socket", "asyncio", "pathlib"}
HARMLESS = {"pathlib.PurePath", "pathlib.PurePosixPath"}
# Libraries that only one place knows: signatures of our own, and of issuers.
ALONE = {
    "jwt": {
        "accounts.signing",
        "accounts.identity.keys",
        "accounts.identity.verifier",
    }
}

ROOT = Path(__file__).resolve().parents[1] / "regbroker"


def modules() -> dict[str, Path]:
    """Every module of regbroker by its name below the package."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imports(path: Path) -> frozenset[str]:
    """The full names that a module imports, wherever in it the import stands."""
    package = ("regbroker", *path.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    # No import is inside of an expression: only statements are looked through.
    waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            names.update(f"{base}.{alias.name}" for alias in node.names)
        elif not isinstance(node, ast.expr):
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(names)


def imported_modules(path: Path, known: dict[str, Path]) -> set[str]:
    """Those of our modules that a module imports."""
    found = set()
    for name in imports(path):
        package, _, below = name.partition(".")
        if package == "regbroker":
            owner = below.rpartition(".")[0]
            found.add(next((m for m in (below, owner) if m in known), "__init__"))
    return found


def is_pure(module: str) -> bool:
    """Tell whether a module is to know no reactor, file, socket or clock."""
    return module not in NOT_PURE and any(fnmatch(module, each) for each in PURE)


def room(module: str) -> str | None:
    """The room that a module is in."""
    first, *below = module.split(".")
    nested = f"{first}.{below[0]}" if below else first
    if nested in ROOMS:
        return nested
    return FLAT.get(first, first if first in ROOMS else None)


class LayersTests(SynchronousTestCase):
    def test_every_module_has_a_place(self) -> None:
        """A new module fails here until somebody says where it belongs."""
        self.assertEqual([m for m in modules() if room(m) is None], [])

    def test_every_module_has_tests(self) -> None:
        """A module has a file of tests with its own name."""
        tests = ROOT.parent / "tests"
        without = [
            module
            for module, path in modules().items()
            for where, _, name in [module.rpartition(".")]
            if name
            and path.name != "__init__.py"
            and not (tests / where.replace(".", "/") / f"test_{name}.py").exists()
        ]
        self.assertEqual(without, [])

    def test_imports_go_down(self) -> None:
        """No module imports from a later room than its own."""
        known, order = modules(), [*ROOMS, None]
        upward = [
            f"{module} ({room(module)}) imports {other} ({room(other)})"
            for module, path in known.items()
            for other in imported_modules(path, known)
            if order.index(room(other)) > order.index(room(module))
        ]
        self.assertEqual(upward, [])

    def test_no_cycles(self) -> None:
        """Modules of one room may import each other, but not in a circle."""
        known = modules()
        graph = {m: imported_modules(path, known) - {m} for m, path in known.items()}
        TopologicalSorter(graph).prepare()

    def test_pure(self) -> None:
        """What is pure knows no reactor, file, socket or clock."""
        impure = [
            f"{module} imports {name}"
            for module, path in modules().items()
            if is_pure(module)
            for name in imports(path) - HARMLESS
            if name.partition(".")[0] in IMPURE
        ]
        self.assertEqual(impure, [])

    def test_pure_below(self) -> None:
        """What is pure imports nothing of ours that is not."""
        known = modules()
        impure = [
            f"{module} imports {other}"
            for module, path in known.items()
            if is_pure(module)
            for other in imported_modules(path, known) - RECORDS - {"__init__"}
            if not is_pure(other)
        ]
        self.assertEqual(impure, [])

    def test_one_place(self) -> None:
        """What one module is there to wrap, the others do not import."""
        beside = [
            f"{module} imports {name}"
            for module, path in modules().items()
            for name in imports(path)
            if module not in ALONE.get(name.partition(".")[0], {module})
        ]
        self.assertEqual(beside, [])

    def test_named_modules_exist(self) -> None:
        """What comments and docstrings name as ours is there under that name."""
        known = modules()
        packages = {name.partition(".")[0] for name in known if "." in name}
        for name, path in known.items():
            for named in re.findall(r"`regbroker\.([a-z_.]+)", path.read_text()):
                first, _, second = named.rstrip(".").partition(".")
                module = f"{first}.{second.partition('.')[0]}"
                self.assertIn(
                    module if first in packages and second else first, known, name
                )
                if second and first not in packages and "." not in second:
                    self.assertRegex(known[first].read_text(), rf"\b{second}\b", name)
