"""Run test modules in several processes: ``python -m tests.side_by_side MODULE...``.

Each process takes the next module when it has done with one, and runs it as trial does.
``trial -j`` hands out single tests instead: it loads all modules once more, looks each
test up by its name, and stops the reactor's threads after each.

The exit status is 1 when a test has failed or a process has ended otherwise.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from unittest import TestResult, TestSuite

from twisted.trial.itrial import ITestCase
from twisted.trial.reporter import TreeReporter
from twisted.trial.runner import TestLoader, TrialRunner
from twisted.trial.unittest import decorate

#: What takes longest comes first: then no process is left with it alone in the end.
LONG = (
    "tests.test_tap",
    "tests.assembly.test_needed",
    "tests.test_side_by_side",
    "tests.test_docs",
    "tests.cli.test_broken_files",
    "tests.naming.test_mapping",
    "tests.accounts.test_throttle",
    "tests.workers.test_fork_server",
    "tests.workers.test_pool",
    "tests.workers.test_forker",
    "tests.cli.test_log_output",
    "tests.test_private_names",
    "tests.upstream.test_search_rules",
    "tests.integration.test_fallback",
    "tests.integration.test_systemd_unit",
    "tests.integration.test_passwords",
    "tests.integration.test_namespaces",
    "tests.integration.test_workers_transfers",
    "tests.integration.test_account_tokens",
    "tests.integration.test_identity_workers",
    "tests.integration.test_habits_accounts",
    "tests.integration.test_own_account",
    "tests.integration.test_accounts",
    "tests.integration.test_balancer",
    "tests.integration.test_identity_issuers",
    "tests.integration.test_endings",
    "tests.integration.test_ldap_accounts",
    "tests.integration.test_identities",
    "tests.integration.test_large_blob",
    "tests.integration.test_systemd",
    "tests.integration.test_hub_front",
    "tests.integration.test_locations",
    "tests.integration.test_workers_together",
)

NUMBER_BYTES = 2
"""Of a module in the queue: a pipe, of which each process reads the next number."""

ALL_PASSED = 100
"""Exit status of a process; one that ends with 0, in the middle of a test, failed."""


def ordered(names: Sequence[str]) -> list[str]:
    """Return the names, those that take longest first."""
    first = [name for name in LONG if name in names]
    return first + [name for name in names if name not in first]


class Queue(TestSuite):
    """The modules that no other process has taken."""

    def __init__(self, names: Sequence[str], queue: int, output: io.StringIO) -> None:
        super().__init__()
        self._names = names
        self._queue = queue
        self._output = output

    def run(self, result: TestResult, debug: bool = False) -> TestResult:
        """Run them; the report of each is written in one piece."""
        loader = TestLoader()
        for name in self._taken():
            decorate(loader.loadByNames([name]), ITestCase).run(result)
            print(self._output.getvalue(), end="", flush=True)
            self._output.seek(0)
            self._output.truncate()
        return result

    def _taken(self) -> Iterator[str]:
        while number := os.read(self._queue, NUMBER_BYTES):
            yield self._names[int.from_bytes(number, "big")]


def run(names: Sequence[str], queue: int, directory: str) -> bool:
    """Run what others leave; tell whether all tests have passed."""
    output = io.StringIO()
    runner = TrialRunner(TreeReporter, stream=output, workingDirectory=directory)
    result = runner.run(Queue(names, queue, output))
    print(output.getvalue(), end="", flush=True)
    return bool(result.wasSuccessful())


def share_out(names: Sequence[str], processes: int, directory: str) -> bool:
    """Run all modules in so many processes; tell whether all tests have passed."""
    reading, writing = os.pipe()
    for number in range(len(names)):
        os.write(writing, number.to_bytes(NUMBER_BYTES, "big"))
    os.close(writing)
    command = [sys.executable, "-m", "tests.side_by_side", "--queue", str(reading)]
    started = [
        subprocess.Popen(
            [*command, "--temp-directory", f"{directory}-{number}", *names],
            pass_fds=[reading],
        )
        for number in range(min(processes, len(names)))
    ]
    os.close(reading)
    return {process.wait() for process in started} == {ALL_PASSED}


def main(arguments: Sequence[str]) -> int:
    """Run the tests; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.side_by_side")
    parser.add_argument("-j", "--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--temp-directory", default="_trial_temp")
    parser.add_argument("--queue", type=int, help=argparse.SUPPRESS)
    parser.add_argument("modules", nargs="+", metavar="MODULE")
    given = parser.parse_args(arguments)
    if given.queue is not None:
        passed = run(given.modules, given.queue, given.temp_directory)
        return ALL_PASSED if passed else 1
    names = ordered(given.modules)
    return 0 if share_out(names, given.processes, given.temp_directory) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
