"""A case that is open on a worker: its methods are checked one after the other, then a block is timed per request."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from harness.device.compiler import compiling
from harness.device.definition import Device
from harness.device.devices import device_of
from harness.methods import Method, method
from harness.state.watch import Watch
from harness.study.cells import Case
from harness.topk.checks import wrong_yardstick
from harness.topk.phases import PreparedPhase, prepare
from harness.topk.problems import Draws, Problem
from harness.topk.transforms import as_run, load_transforms
from harness.vocabulary import COUNTS, DERIVATIVES, DEVICE_CLOCK, WALL, YARDSTICK_PHASES, YARDSTICKS
from harness.worker.blocks import Blocks
from harness.worker.callgrind import count
from harness.worker.correctness import Correctness
from harness.worker.failures import Incorrect, failure, one_line
from harness.worker.follow import Checked, first_call
from harness.worker.graphs import GRAPH, captured, refuse_without_graphs, wrong_replay


class OpenCase:
    """A case on this worker: its tensors, what methods are compared with, and the phases prepared for timing."""

    def __init__(self, request: Mapping[str, Any], draws: Draws | None = None) -> None:
        """draws: makes the tensors; it reuses the numbers of the case before if they are the same."""
        draws = draws or Draws()
        self.settings = request
        self.problem: Problem = draws.problem(Case.from_axes(request["case"]))
        self.device: Device = device_of(self.problem.case.device)
        if self.problem.case.transform == GRAPH:
            refuse_without_graphs(self.device)
        self.blocks = Blocks(self.device, self.problem.case, request)
        self.correctness = Correctness(self.problem, draws, request)
        self.calls: dict[str, Mapping[str, int]] = {}
        """method -> phase -> calls per block by the wall clock, as calibrated in an earlier launch."""
        load_transforms(self.problem.case, request["phases"])
        self.watch = Watch(self.problem.case.device)  # last, so that what opening a case changes counts against nobody

    def check(
        self,
        name: str,
        measure: Collection[str],
        spare_bytes: float = math.inf,
        calls: Mapping[str, int] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """Run a method once, check its output, prepare its phases and check each; returns the reply to the parent.

        measure: which of 'errors', 'memory', 'repeats' and 'counts'. spare_bytes: how much of the memory limit the
        method leaves to the copies of earlier blocks. calls: phase -> calls per block by the wall clock, if an earlier
        launch has calibrated it. If the case compiles methods, that happens here, and the reply has its seconds.
        """
        self.blocks.spare_bytes[name], self.calls[name] = spare_bytes, calls
        return self.blocks.with_all_memory(lambda: self._check_and_settle(name, measure))

    def _check_and_settle(self, name: str, measure: Collection[str]) -> dict[str, Any]:
        """Check a method, and restore whatever it changed. Raises Spoilt if it changed shared state."""
        case = self.problem.case
        with self.watch.settling():
            chosen = as_run(method(name).at(case), case)
            chosen.implementation  # noqa: B018  (made here, since that imports what the method needs)
        if name in YARDSTICKS or case.transform != "compile":
            with self.watch.settling():
                reply = self._check(name, chosen, measure)
            _remark(reply, self.watch.take_noted())
            return reply
        try:
            with compiling(case.device) as seconds:
                self.watch.begin()
                with self.watch.settling():
                    reply = self._check(name, chosen, measure)
                return reply | {"compile_seconds": seconds()}
        finally:
            self.watch.take_noted()  # torch.compile draws random numbers and sets variables, whatever it compiles
            self.watch.begin()

    def _check(self, name: str, chosen: Method, measure: Collection[str]) -> dict[str, Any]:
        reply: dict[str, Any] = {"status": "ok", "reason": "", "calls": {}, "memory": [], "figures": []}
        reply["least_bytes"], reply[COUNTS] = {}, []

        def incorrect(reason: str) -> dict[str, Any]:
            nothing: dict[str, Any] = {"calls": {}, "memory": [], "figures": [], COUNTS: []}
            return reply | {"status": "incorrect", "reason": reason} | nothing

        if name in YARDSTICKS:
            wrong = wrong_yardstick(chosen, self.problem)
        else:
            wrong, reply["reason"], reply["figures"] = self.correctness.compare(chosen, measure, self.watch)
        if wrong:
            return incorrect(wrong)
        timed = YARDSTICK_PHASES if name in YARDSTICKS else self.settings["phases"]
        phases = [phase for phase in chosen.phases_for(self.problem.case) if phase in timed]
        for phase, prepared in prepare(chosen, phases, self.problem, self.correctness.loss):
            try:
                checked, prepared = self._first_call(chosen, phase, prepared)
                if COUNTS in measure:  # a worker that counts has no blocks
                    self.blocks.follow_apart(prepared, checked)
                self.watch.hold()
            except Incorrect as error:
                self.watch.hold()
                return incorrect(_in_phase(phase, str(error)))
            except RuntimeError as error:
                self.watch.hold()
                # torch.func and graphs refuse some phases of methods whose other phases they accept.
                optional = phase in DERIVATIVES or self.problem.case.transform == GRAPH
                if not optional or failure(error)["status"] != "unsupported":
                    raise
                _remark(reply, f"no {phase}: {one_line(error)}")
                continue
            self.blocks.prepared[name, phase], self.blocks.checked[name, phase] = prepared, checked
            if COUNTS in measure:  # valgrind makes everything slow: nothing is timed in a worker that counts
                reply[COUNTS].append([phase, *count(self.blocks.fresh_call(name, prepared))])
            else:
                self._measure_phase(name, phase, chosen, measure, reply)
        if self.problem.case.transform == GRAPH and phases and not reply["calls"]:
            return reply | {"status": "unsupported", "figures": []}
        return reply

    def _first_call(self, chosen: Method, phase: str, prepared: PreparedPhase) -> tuple[Checked, PreparedPhase]:
        """Check the first call of a phase; under the transform `compile` this call compiles it.

        Returns what later calls are compared with, and the phase as it is timed: under the transform `graph` a replay.
        Raises Incorrect if a result is wrong.
        """
        correctness, blocks = self.correctness, self.blocks
        if self.problem.case.transform == GRAPH and chosen.name not in YARDSTICKS:
            replay = captured(prepared, self.device)
            call = blocks.fresh_call(chosen.name, prepared)
            if wrong := wrong_replay(blocks.fresh_call(chosen.name, replay)(), call()):
                raise Incorrect(wrong)
            prepared = replay
        return first_call(chosen, phase, prepared, correctness.content, blocks.heap, correctness.loss), prepared

    def _measure_phase(
        self, name: str, phase: str, chosen: Method, measure: Collection[str], reply: dict[str, Any]
    ) -> None:
        """Measure a phase's peak memory and calibrate its blocks; both are added to the reply."""
        least = chosen.least_bytes(phase, self.problem.case)
        if "memory" in measure:
            peak = self.device.peak_bytes(self.blocks.fresh_call(name, self.blocks.prepared[name, phase]))
            reply["memory"].append([phase, least, peak])
        reply["least_bytes"][phase] = least
        reply["calls"][phase] = {WALL: self.calls[name].get(phase) or self.blocks.calibrate(name, phase)}
        calls = self.blocks.calibrate_on_device(name, phase)
        _remark(reply, self.blocks.few_places(name, phase))
        if isinstance(calls, int):
            reply["calls"][phase][DEVICE_CLOCK] = calls
        elif calls is not None:
            _remark(reply, f"{phase}: no device time: {calls}")

    def time(self, name: str, phase: str, calls: int, clock: str = WALL) -> float:
        """Seconds per call of one block by a clock, in new memory, after one untimed call and, for a cold cache, a
        flush.

        NaN if no attempt at a block by the device clock was valid. Raises Incorrect if its last call is wrong.
        """
        timed = self.blocks.time if clock == WALL else self.blocks.time_on_device
        check_state = self.watch.hold if self.settings.get("watch_blocks", False) else None
        return self.blocks.with_all_memory(lambda: timed(name, phase, calls, check_state))


def _remark(reply: dict[str, Any], remark: str) -> None:
    """Append a remark, if there is one, to the reason in a reply."""
    reply["reason"] = "; ".join(filter(None, (reply["reason"], remark)))


def _in_phase(phase: str, reason: str) -> str:
    """A reason that names its phase, once."""
    return reason if reason.startswith(f"{phase}: ") else f"{phase}: {reason}"
