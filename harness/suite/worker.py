"""The worker of a suite: it runs pytest, which runs each test when the parent asks for it.

A test runs as far as its call of `benchmark`, which answers the requests that time blocks of it; when the parent closes
the test, the call returns, and the test goes on to what it asserts. So the fixtures of a test are outside its blocks,
and pytest stays in charge of them. Requests and replies are JSON lines, as those of the worker of a study.

It needs pytest and the standard library only: it runs under the interpreter that the suite is run with.
"""

from __future__ import annotations

import os
import platform
import random
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import pytest

from harness.suite.fixture import CLOCK, FixturePlugin, Timed
from harness.suite.lines import Lines
from harness.suite.names import failure_reason, imported, parameters_of
from harness.vocabulary import HOST
from harness.worker.protocol import end_with_parent

PROTOCOL = 1
"""Raised when a request or a reply changes its meaning."""

PHASE = "call"
"""What is timed of a test."""

WITHOUT = {"pytest_cov": "--no-cov", "xdist": "--numprocesses=0", "pytest_timeout": "--timeout=0"}
"""Plugin -> the option that keeps it from tracing what is timed, from running tests in processes of its own, and from
ending a test that waits for its turn. Only a plugin that is installed knows its option."""

ONE_SEED = {"pytest_randomly": "--randomly-seed=1"}
"""The same of a plugin that draws a seed and shuffles: both sides must have the same inputs."""

OF_OTHERS = ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")
"""Variables by which a pytest that has started this process speaks of itself."""

REPOSITORY = "GIT_DIR"
"""While plugins are loaded there is no repository: pytest-benchmark has git describe it, which writes the user's index
and starts the user's file-system monitor."""

OF_BENCHMARK = ("skip", "only", "disable", "autosave", "save", "json", "compare", "histogram", "cprofile")
"""Options of pytest-benchmark that a suite's configuration may set: what they ask for is not what is done here."""


class Serving:
    """The plugin that answers the parent: it takes the place of pytest's own loop over the tests."""

    def __init__(self, lines: Lines, greeting: Mapping[str, Any], temporary: str) -> None:
        self._lines, self._greeting, self._temporary = lines, greeting, temporary
        self._failed: list[tuple[str, str]] = []
        self._pending: dict[str, Any] | None = None
        """The request that has no reply yet."""
        self._raised: dict[str, BaseException] = {}
        self._reports: list[pytest.TestReport] = []
        self._was_timed = False
        self._block_seconds = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        os.environ.pop(REPOSITORY, None)  # what the suite itself asks git is its own affair

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        for name in OF_BENCHMARK:
            setattr(config.option, f"benchmark_{name}", None)
        config.option.benchmark_compare_fail = []
        config.option.benchmark_storage = f"file://{self._temporary}"  # it makes a folder, though nothing is saved

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        # The last plugin that has a fixture of this name is the one whose fixture is used.
        session.config.pluginmanager.register(FixturePlugin(self._measured))
        _seed("")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed.append((report.nodeid, failure_reason(report)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Greet, then answer requests until there are no more."""
        items = {each.nodeid: each for each in session.items if "benchmark" in getattr(each, "fixturenames", ())}
        tests = [{"id": name, "parameters": parameters_of(each)} for name, each in items.items()]
        self._lines.write({**self._greeting, "tests": tests, "failed": self._failed})
        while self._pending or self._next():
            request, self._pending = self._pending, None
            assert request is not None
            if request["op"] == "open":
                self._pending = request
                self._run(items[request["case"]["test"]], items.get(request["case"]["following"]), request)
            elif request["op"] == "imported":
                self._lines.write(imported())
            else:  # of a test that has ended by itself
                status = "ok" if request["op"] == "close" else "crashed"
                self._lines.write({"status": status, "reason": "no test is open"})
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        _seed(item.nodeid)

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None:
            self._raised[call.when] = call.excinfo.value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    def _next(self) -> dict[str, Any] | None:
        self._pending = self._lines.read()
        return self._pending

    def _run(self, item: pytest.Item, following: pytest.Item | None, request: Mapping[str, Any]) -> None:
        """Run one test, and reply to the request during which it ended, unless that opens the next one."""
        self._block_seconds = request["block_seconds"]
        self._raised, self._reports, self._was_timed = {}, [], False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if self._pending and self._pending is not request and self._pending["op"] == "open":
            return
        self._pending = None
        status, reason = self._outcome()
        self._lines.write({"status": status, "reason": reason})

    def _outcome(self) -> tuple[str, str]:
        for report in self._reports:
            where = "" if report.when == "call" else f"{report.when}: "
            if report.failed:
                wrong = isinstance(self._raised.get(report.when), AssertionError)
                return "incorrect" if wrong else "crashed", where + failure_reason(report)
            if report.skipped:
                return "skipped", where + failure_reason(report)
        return ("ok", "") if self._was_timed else ("unsupported", "it passed without a call of `benchmark`")

    def _measured(self, timed: Timed) -> Any:
        """Answer the requests that a test gets while it is open, and return what its last call returned."""
        timed.once()
        self._was_timed = True
        self._pending = None
        self._lines.write({"status": "ok"})
        while request := self._next():
            reply: dict[str, Any]
            if request["op"] == "check":
                known = request.get("calls", {}).get(PHASE)
                calls = known or CLOCK.calls_lasting(timed.cost, self._block_seconds)
                reply = {"status": "ok", "reason": "", "calls": {PHASE: {"wall": calls}}, "memory": [], "figures": []}
            elif request["op"] == "time":
                timed.once()
                reply = {"seconds": timed.block(request["calls"]), "throttling": None}
            else:
                break
            self._pending = None
            self._lines.write(reply)
        if request and request["op"] == "close":
            return timed.result
        raise pytest.skip.Exception("it was not measured to its end")


def _seed(name: str) -> None:
    """The same random numbers for a test on both sides, as far as they come from where most suites have them."""
    seed = zlib.crc32(name.encode())
    random.seed(seed)
    with suppress(Exception):  # whatever lies under this name in sys.modules
        sys.modules["numpy"].random.seed(seed)


def options(path: str, temporary: str) -> list[str]:
    """The command line of pytest: nothing is written into the user's folder on our account."""
    known = WITHOUT | ONE_SEED
    loads = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    others = [option for module, option in known.items() if loads and find_spec(module) is not None]
    places = ["-o", f"cache_dir={temporary}/cache", f"--basetemp={temporary}/tests"]
    return [path, *places, "--quiet", *others]


def main() -> None:
    """Serve one suite. Arguments: the folder of the harness, the suite's path, the folder for temporary files, the
    cores to be pinned to."""
    lines = Lines()
    home, path, temporary, cores = sys.argv[1:5]
    end_with_parent(sys.argv[5:])
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(each) for each in cores.split(",")])
    sys.dont_write_bytecode = True
    for name in [each for each in os.environ if each in OF_OTHERS]:
        del os.environ[name]
    greeting = {"protocol": PROTOCOL, "home": home, "devices": [HOST], "python": platform.python_version()}
    for name in [each for each in sys.modules if each.partition(".")[0] == "harness"]:
        del sys.modules[name]  # the suite may be that of another version of it
    os.environ[REPOSITORY] = os.devnull
    code = pytest.main(options(path, temporary), plugins=[Serving(lines, greeting, temporary)])
    sys.exit(int(code))
