"""The worker of a suite: it runs pytest, which runs a test when the parent asks for it.

A test runs up to its call of `benchmark`. That call answers the parent's requests to time blocks; when the parent
closes the test, the call returns, and the test goes on to its assertions. So pytest sets up the fixtures as usual, and
they are outside the blocks. Requests and replies are JSON lines, like those of the worker of a study.

It needs only pytest and the standard library, because it runs under the interpreter of the suite.
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
"""Incremented when a request or a reply changes its meaning."""

PHASE = "call"
"""The one phase of a test."""

PLUGIN_OFF = {"pytest_cov": "--no-cov", "xdist": "--numprocesses=0", "pytest_timeout": "--timeout=0"}
"""Plugin -> the option that stops it from tracing the timed code (coverage), from running tests in other processes, or
from ending a test that waits for its turn. An option may be used only if its plugin is installed."""

PLUGIN_SEED = {"pytest_randomly": "--randomly-seed=1"}
"""Plugin -> the option that fixes its seed: both sides must have the same inputs."""

OUTER_PYTEST = ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")
"""Environment variables of a pytest that runs this process as part of one of its own tests."""

REPOSITORY = "GIT_DIR"
"""Set to a path without a repository while plugins are loaded: pytest-benchmark asks git for a description of the
repository, which would write the user's index and start the user's file-system monitor."""

BENCHMARK_OPTIONS = ("skip", "only", "disable", "autosave", "save", "json", "compare", "histogram", "cprofile")
"""Options of pytest-benchmark that a suite's configuration may set; they are reset, since they would skip tests or
write files."""


class Serving:
    """The plugin that serves the parent's requests, instead of pytest's own loop over the tests."""

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
        os.environ.pop(REPOSITORY, None)  # the suite itself may ask git

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        for name in BENCHMARK_OPTIONS:
            setattr(config.option, f"benchmark_{name}", None)
        config.option.benchmark_compare_fail = []
        config.option.benchmark_storage = f"file://{self._temporary}"  # the plugin creates this folder in any case

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        # Registered here, after all other plugins, because the last fixture of this name is the one that is used.
        session.config.pluginmanager.register(FixturePlugin(self._measured))
        _seed("")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed.append((report.nodeid, failure_reason(report)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Send the greeting, then serve requests until the input ends."""
        items = {item.nodeid: item for item in session.items if "benchmark" in getattr(item, "fixturenames", ())}
        tests = [{"id": name, "parameters": parameters_of(item)} for name, item in items.items()]
        self._lines.write({**self._greeting, "tests": tests, "failed": self._failed})
        while self._pending or self._next():
            request, self._pending = self._pending, None
            assert request is not None
            if request["op"] == "open":
                self._pending = request
                self._run(items[request["case"]["test"]], items.get(request["case"]["following"]), request)
            elif request["op"] == "imported":
                self._lines.write(imported())
            else:  # a request to a test that has already ended by itself
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
        """Run one test, and reply to the request during which it ended; a request to open the next test is left pending
        for the loop."""
        self._block_seconds = request["block_seconds"]
        self._raised, self._reports, self._was_timed = {}, [], False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if self._pending and self._pending is not request and self._pending["op"] == "open":
            return
        self._pending = None
        status, reason = self._outcome()
        self._lines.write({"status": status, "reason": reason})

    def _outcome(self) -> tuple[str, str]:
        """Status and reason of the test that has just ended."""
        for report in self._reports:
            where = "" if report.when == "call" else f"{report.when}: "
            if report.failed:
                wrong = isinstance(self._raised.get(report.when), AssertionError)
                return "incorrect" if wrong else "crashed", where + failure_reason(report)
            if report.skipped:
                return "skipped", where + failure_reason(report)
        return ("ok", "") if self._was_timed else ("unsupported", "it passed without a call of `benchmark`")

    def _measured(self, timed: Timed) -> Any:
        """Serve the requests to an open test, and return the result of its last call once the parent closes it. Skips
        the rest of the test if the parent gives it up before."""
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
    """Give a test the same random numbers on both sides, if it draws them from `random` or NumPy's global generator."""
    seed = zlib.crc32(name.encode())  # not hash(), which depends on the hash seed of the process
    random.seed(seed)
    with suppress(Exception):  # NumPy may be missing, or replaced by a module of the suite
        sys.modules["numpy"].random.seed(seed)


def options(path: str, temporary: str) -> list[str]:
    """pytest's command line; its cache and temporary folders are not in the user's folder."""
    known = PLUGIN_OFF | PLUGIN_SEED
    loads = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    others = [option for module, option in known.items() if loads and find_spec(module) is not None]
    places = ["-o", f"cache_dir={temporary}/cache", f"--basetemp={temporary}/tests"]
    return [path, *places, "--quiet", *others]


def main() -> None:
    """Serve one suite. Arguments: the folder that contains the harness, the path of the suite, a temporary folder, and
    the cores to pin this process to."""
    lines = Lines()
    home, path, temporary, cores = sys.argv[1:5]
    end_with_parent(sys.argv[5:])
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(each) for each in cores.split(",")])
    for name in OUTER_PYTEST:
        os.environ.pop(name, None)
    greeting = {"protocol": PROTOCOL, "home": home, "devices": [HOST], "python": platform.python_version()}
    for name in [each for each in sys.modules if each.partition(".")[0] == "harness"]:
        del sys.modules[name]  # the suite may import another version of the harness, whose benchmarks it contains
    os.environ[REPOSITORY] = os.devnull
    code = pytest.main(options(path, temporary), plugins=[Serving(lines, greeting, temporary)])
    sys.exit(int(code))
