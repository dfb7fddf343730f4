"""A case on a worker: its tensors, the methods that are checked on it, and a block of a phase when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

import torch

from harness.accuracy.assessment import Assessment
from harness.accuracy.discrepancies import Figure, figures, proof_figures, unexplained
from harness.accuracy.references import References
from harness.accuracy.repeats import repeat_figures
from harness.device.cache import flusher
from harness.device.clock import Call, Clock
from harness.device.compiler import compilations, compiling
from harness.device.definition import Device
from harness.device.devices import device_of
from harness.device.heap import EARLIER_COPIES, Heap, bytes_of, places
from harness.methods import Method, method
from harness.precision.own_metrics import import_metrics
from harness.state.watch import Watch
from harness.study.cells import Case
from harness.topk.checks import changed, restore, same_bits, wrong_outcome, wrong_yardstick
from harness.topk.contents import Content
from harness.topk.outcome import Outcome, run_once, selected_of
from harness.topk.phases import PreparedPhase, prepare
from harness.topk.problems import Draws, Problem
from harness.topk.results import not_plain
from harness.topk.transforms import as_run, load_transforms
from harness.vocabulary import CACHE, COUNTS, DERIVATIVES, DEVICE_CLOCK, WALL, YARDSTICK_PHASES, YARDSTICKS
from harness.worker.callgrind import count
from harness.worker.failures import Incorrect, failure, one_line
from harness.worker.follow import Checked, first_call
from harness.worker.graphs import GRAPH, captured, refuse_without_graphs, wrong_replay
from harness.worker.on_device import DeviceBlocks

TIMED_OVER_PREPARED = 3.0
"""A block lasts at least so many times what must be prepared for it (copies, one untimed call): most of the wall time
of a run is then inside blocks."""


Result = TypeVar("Result")


class OpenCase:
    """A case on this worker: its tensors, its references, and the phases that were prepared for timing."""

    def __init__(self, request: Mapping[str, Any], draws: Draws | None = None) -> None:
        """draws: makes the tensors, from the numbers of the case before where these are the same."""
        draws = draws or Draws()
        self.problem: Problem = draws.problem(Case.from_axes(request["case"]))
        self.drawn = draws.last
        self.settings = request
        self.device: Device = device_of(self.problem.case.device)
        if self.problem.case.transform == GRAPH:
            refuse_without_graphs(self.device)
        self.clock = Clock(self.device.synchronize, self.device.counter)
        self.heap = Heap(self.problem.case.seed, self.problem.case.device)
        self.flush = self._flusher()
        self.on_device = DeviceBlocks.of(self.device, self.flush)
        self.prepared: dict[tuple[str, str], PreparedPhase] = {}
        self.checked: dict[tuple[str, str], Checked] = {}
        self.spare_bytes: dict[str, float] = {}
        """method -> what copies of earlier blocks may take beside it, of the memory limit."""
        self.calls: dict[str, Mapping[str, int]] = {}
        """method -> phase -> calls of a block by the wall clock, as an earlier launch has found them."""
        outcome = self._run_native(self.problem)
        self.native_is_wrong = wrong_outcome(method("native"), outcome, self.problem, self.loss)
        self.native = selected_of(outcome)
        import_metrics(self.settings["metrics"])
        self.references = References(self.problem, self.native, self.loss)
        load_transforms(self.problem.case, request["phases"])
        self.watch = Watch(self.problem.case.device)

    @property
    def loss(self) -> str:
        return str(self.settings["loss"])

    def _run_native(self, problem: Problem) -> Outcome:
        native = as_run(method("native"), replace(problem.case, transform="eager"))
        return run_once(native, problem, self.loss, with_dS=False)

    @cached_property
    def content(self) -> Content:
        """What the phases read, and what is right for it."""
        indices = self.problem.y.topk(self.problem.case.k).indices
        return Content(self.problem, indices, self.problem, self._run_native)

    @cached_property
    def assessed_native(self) -> Assessment:
        """Native beside the references: other methods' errors are also a multiple of its."""
        return Assessment(None, self.references, summed_again=False)

    def check(
        self,
        name: str,
        measure: Collection[str],
        spare_bytes: float = math.inf,
        calls: Mapping[str, int] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """Run a method once, hold it to what is right, prepare its phases; `measure`: of errors, memory, repeats,
        counts.

        Where it is compiled, that is done here, and the reply has the seconds of it. spare_bytes: how much of the
        memory limit the method leaves to copies of earlier blocks. calls: of a block by the wall clock, of the phases
        for which an earlier launch has found it; the others are calibrated.
        """
        self.spare_bytes[name], self.calls[name] = spare_bytes, calls
        return self._with_all_memory(lambda: self._check_as_run(name, measure))

    def _check_as_run(self, name: str, measure: Collection[str]) -> dict[str, Any]:
        case = self.problem.case
        with self.watch.settling():
            chosen = as_run(method(name).at(case), case)
            chosen.implementation  # noqa: B018  (made here, since that imports what the method needs)
        if name in YARDSTICKS or case.transform != "compile":
            with self.watch.settling():
                reply = self._check(name, chosen, measure)
            if noted := self.watch.take_noted():
                reply["reason"] = "; ".join(filter(None, (reply["reason"], noted)))
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
        if name in YARDSTICKS:
            wrong = wrong_yardstick(chosen, self.problem)
        else:
            wrong, reply["reason"], reply["figures"] = self._compare(chosen, measure)
        if wrong:
            return reply | {"status": "incorrect", "reason": wrong, "figures": []}
        wanted = YARDSTICK_PHASES if name in YARDSTICKS else self.settings["phases"]
        phases = [each for each in chosen.phases_for(self.problem.case) if each in wanted]
        for phase, prepared in prepare(chosen, phases, self.problem, self.loss):
            try:
                checked, prepared = self._first_call(chosen, phase, prepared)
                if COUNTS in measure:  # a worker that counts has no blocks
                    self._follow_apart(prepared, checked)
                self.watch.hold()
            except Incorrect as error:
                self.watch.hold()
                nothing: dict[str, Any] = {"calls": {}, "memory": [], "figures": [], COUNTS: []}
                return reply | {"status": "incorrect", "reason": _in_phase(phase, str(error))} | nothing
            except RuntimeError as error:
                self.watch.hold()
                optional = phase in DERIVATIVES or self.problem.case.transform == GRAPH
                if not optional or failure(error)["status"] != "unsupported":
                    raise
                reply["reason"] = "; ".join(filter(None, (reply["reason"], f"no {phase}: {one_line(error)}")))
                continue
            self.prepared[name, phase], self.checked[name, phase] = prepared, checked
            if COUNTS in measure:  # valgrind makes everything slow: nothing is timed in a worker that counts
                reply[COUNTS].append([phase, *count(self._fresh_call(name, prepared))])
                continue
            if "memory" in measure:
                peak = self.device.peak_bytes(self._fresh_call(name, prepared))
                reply["memory"].append([phase, chosen.least_bytes(phase, self.problem.case), peak])
            reply["least_bytes"][phase] = chosen.least_bytes(phase, self.problem.case)
            reply["calls"][phase] = {WALL: self.calls[name].get(phase) or self._calibrate(name, prepared)}
            calls = self._calibrate_on_device(name, phase)
            if isinstance(calls, int):
                reply["calls"][phase][DEVICE_CLOCK] = calls
            without = f"{phase}: no device time: {calls}" if isinstance(calls, str) else ""
            reply["reason"] = "; ".join(filter(None, (reply["reason"], self._few_places(name, phase), without)))
        if self.problem.case.transform == GRAPH and phases and not reply["calls"]:
            return reply | {"status": "unsupported", "figures": []}
        return reply

    def _first_call(self, chosen: Method, phase: str, prepared: PreparedPhase) -> tuple[Checked, PreparedPhase]:
        """What later calls of a phase are held to, and the phase as it is timed: a replay in the transform graph.
        Afterwards the phase is compiled, in the transform of that name. Raises Incorrect where a call is wrong."""
        if self.problem.case.transform == GRAPH and chosen.name not in YARDSTICKS:
            replay = captured(prepared, self.device)
            call = self._fresh_call(chosen.name, prepared)
            if wrong := wrong_replay(self._fresh_call(chosen.name, replay)(), call()):
                raise Incorrect(wrong)
            prepared = replay
        return first_call(chosen, phase, prepared, self.content, self.heap, self.loss), prepared

    def time(self, name: str, phase: str, calls: int, clock: str = WALL) -> float:
        """One block by a clock in new memory, after one call that is not timed and, where the cache is to be cold, a
        flush. NaN where no attempt at a block by the device clock was valid.

        Raises Incorrect where its last call is not as right as the first one was.
        """
        timed = self._time if clock == WALL else self._time_on_device
        return self._with_all_memory(lambda: timed(name, phase, calls))

    def _time(self, name: str, phase: str, calls: int) -> float:
        call, result = self._untimed_call(name, self.prepared[name, phase], self.checked[name, phase])
        kept = [result]
        del result
        if self.flush is not None:
            self.flush()
        compiled = compilations()
        lasted = self.clock.block(call, calls, kept)
        self._hold_block(name, phase, compiled, kept)
        return lasted

    def _hold_block(self, name: str, phase: str, compiled: int, kept: list[Any]) -> None:
        """Raises what makes a block worthless: a compilation inside it, a change of what all methods share, where every
        block is watched, or Incorrect where what its last call returned is wrong.

        compiled: how many compilations there were before it; kept: that result, if there was a block.
        """
        if compilations() != compiled:
            raise RuntimeError("torch compiled something inside a block")
        if self.settings.get("watch_blocks", False):
            self.watch.hold()
        if kept and (wrong := self.checked[name, phase].wrong(kept.pop())):
            raise Incorrect(wrong)

    def _calibrate_on_device(self, name: str, phase: str) -> int | str | None:
        """Calls of a block by the device clock, or why there is none; None where the device has no clock."""
        if self.on_device is None:
            return None
        fresh, size = self._new_copies(name, phase)
        spare = self.spare_bytes.get(name, math.inf)
        return self.on_device.calibrate((name, phase), fresh, size, self.settings["block_seconds"], spare)

    def _time_on_device(self, name: str, phase: str, calls: int) -> float:
        if self.on_device is None:
            raise ValueError(f"{self.device.type} has no clock of its own")
        compiled = compilations()
        kept: list[Any] = []
        seconds = self.on_device.time((name, phase), *self._new_copies(name, phase), calls, kept)
        self._hold_block(name, phase, compiled, kept)
        return seconds

    def _new_copies(self, name: str, phase: str) -> tuple[Callable[[], Call], int]:
        """What makes the call of a phase on new copies of what it reads, and their bytes.

        Where the cache is to be cold several are alive at once, which the heap would free.
        """
        prepared = self.prepared[name, phase]
        size = sum(map(bytes_of, prepared.reads))
        if self.flush is None:
            return lambda: self._fresh_call(name, prepared), size
        return lambda: prepared.bind(*(each.detach().clone() for each in prepared.reads)), size

    def _flusher(self) -> Callable[[], Any] | None:
        """None where the caches stay warm. Held from here on, it is in no method's peak of memory."""
        cold = dict(self.problem.case.parameters).get(CACHE) == "cold"
        return flusher(self.problem.case.device, self.device.cache_bytes()) if cold else None

    def _compare(self, chosen: Method, measure: Collection[str]) -> tuple[str, str, list[list[Any]]]:
        """Why it is wrong or '', what is missing or '', and the figures."""
        settings = self.settings
        with_dS = bool({"errors", "repeats"} & {*measure}) and "dS" in settings["tensors"]
        y = self.problem.y.clone() if self.problem.case.d else self.problem.y
        outcome = run_once(chosen, self.problem, self.loss, with_dS=with_dS)
        self.watch.hold()
        if wrong := not_plain({"values": outcome.values, "indices": outcome.indices}, self.problem.case.device):
            return wrong, "", []
        if outcome.wrote or changed(self.problem, self.drawn, y):
            restore(self.problem, self.drawn, y)
            return "changes its input", "", []
        if same_bits(outcome, self.native):
            wrong = self.native_is_wrong
        else:
            wrong = wrong_outcome(chosen, outcome, self.problem, self.loss)
        missing = "; ".join(f"no {tensor}: {why}" for tensor, why in outcome.missing.items())
        found: list[Figure] = []
        if not wrong and "errors" in measure:
            found = self._errors(chosen, outcome)
            wrong = unexplained(found)
        if not wrong and "repeats" in measure:

            def again() -> Outcome:
                repeated = run_once(chosen, self.problem, self.loss, with_dS=with_dS)
                self.watch.hold()
                return repeated

            found += repeat_figures(outcome, again, settings["tensors"], settings["metrics"])
        return wrong, missing, [[f.tensor, f.of, f.reference, f.metric, f.value] for f in found]

    def _errors(self, chosen: Method, outcome: Outcome) -> list[Figure]:
        """The figures of a method's outcome beside the references."""
        native = None if chosen.name == "native" else lambda: self.assessed_native
        again = chosen.implementation.forward is None
        assessment = Assessment(outcome, self.references, summed_again=again, native=native)
        proved = self.references.proof
        wanted = (self.settings[name] for name in ("tensors", "references", "metrics"))
        found = list(figures(assessment, *wanted, exact=chosen.exact))
        return [*found, *proof_figures(self.references.proof, proved)]

    def _with_all_memory(self, attempt: Callable[[], Result]) -> Result:
        """The result of an attempt; one that runs out of memory is repeated without the copies of earlier blocks."""
        try:
            return attempt()
        except (MemoryError, RuntimeError) as error:
            if failure(error)["status"] != "out_of_memory" or not self.heap.drop():
                raise
        return attempt()

    def _few_places(self, name: str, phase: str) -> str:
        """What must be said of a phase whose blocks see fewer places of memory than others."""
        found = places(self.prepared[name, phase].reads, self.spare_bytes.get(name, math.inf))
        if found > EARLIER_COPIES or not self.settings["fresh_memory"]:
            return ""
        return f"{phase}: its blocks take turns in {found} of {EARLIER_COPIES + 1} places (limits.memory)"

    def _untimed_call(self, name: str, prepared: PreparedPhase, checked: Checked) -> tuple[Call, Any]:
        """The call of a block, and what it returned before the block; of the first block while what it reads held
        other numbers. Raises Incorrect where that is wrong."""
        copies = self._copies(name, prepared)
        call = prepared.bind(*copies)
        if checked.of_other_numbers is not None:
            return call, call()
        if self.settings["fresh_memory"]:
            return call, checked.follow(prepared, copies, call, self.heap)
        # This block reads the tensors of the case themselves, which nothing may change.
        self._follow_apart(prepared, checked)
        return call, call()

    def _follow_apart(self, prepared: PreparedPhase, checked: Checked) -> None:
        """Let a phase follow what it reads without a block. Raises Incorrect where it does not."""
        copies = self.heap.fresh(prepared.reads)
        call = prepared.bind(*copies)
        call()  # what remembers by address must have seen these copies before they hold other numbers
        checked.follow(prepared, copies, call, self.heap)

    def _fresh_call(self, name: str, prepared: PreparedPhase) -> Call:
        return prepared.bind(*self._copies(name, prepared))

    def _copies(self, name: str, prepared: PreparedPhase) -> Sequence[torch.Tensor]:
        """What a block of a phase reads: new copies, or the tensors of the case where memory is not fresh."""
        if self.settings["fresh_memory"]:
            return self.heap.fresh(prepared.reads, self.spare_bytes.get(name, math.inf))
        return [each.detach() for each in prepared.reads]

    def _calibrate(self, name: str, prepared: PreparedPhase) -> int:
        """Calls of a block: it lasts block_seconds, and longer where preparing it takes long; of a cold cache one."""
        if self.flush is not None:
            return 1

        def prepares() -> float:
            return self.clock.block(lambda: self._fresh_call(name, prepared)(), 1)

        preparation = self.clock.undisturbed(prepares)
        call = self._fresh_call(name, prepared)
        return self.clock.calls_for(call, max(self.settings["block_seconds"], TIMED_OVER_PREPARED * preparation))


def _in_phase(phase: str, reason: str) -> str:
    return reason if reason.startswith(f"{phase}: ") else f"{phase}: {reason}"
