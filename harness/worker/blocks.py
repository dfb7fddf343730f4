"""The blocks of a case's phases: how many calls one has, and its time by either clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch

from harness.device.cache import flusher
from harness.device.clock import Call, Clock
from harness.device.compiler import compilations
from harness.device.definition import Device
from harness.device.heap import EARLIER_COPIES, Heap, bytes_of, places
from harness.study.cells import Case
from harness.topk.phases import PreparedPhase
from harness.vocabulary import CACHE
from harness.worker.failures import Incorrect, failure
from harness.worker.follow import Checked
from harness.worker.on_device import DeviceBlocks

TIMED_OVER_PREPARED = 3.0
"""A block lasts at least this many times as long as its preparation (copies of the tensors and one untimed call), so
that most of the wall time of a run is spent inside blocks."""

Result = TypeVar("Result")


class Blocks:
    """Calibrates and times blocks of the phases of one case. Every block reads copies of its tensors in new memory."""

    def __init__(self, device: Device, case: Case, settings: Mapping[str, Any]) -> None:
        """settings: those of the request that opened the case; `block_seconds` and `fresh_memory` are read."""
        self.settings = settings
        self._device = device
        self.clock = Clock(device.synchronize, device.counter)
        self.heap = Heap(case.seed, case.device)
        cold = dict(case.parameters).get(CACHE) == "cold"
        # Made here and kept, so that its buffer counts in no method's peak memory.
        self.flush = flusher(case.device, device.cache_bytes()) if cold else None
        self.on_device = DeviceBlocks.of(device, self.flush)
        self.prepared: dict[tuple[str, str], PreparedPhase] = {}
        """(method, phase) -> the phase as it is timed."""
        self.checked: dict[tuple[str, str], Checked] = {}
        """(method, phase) -> what the last call of a block is compared with."""
        self.spare_bytes: dict[str, float] = {}
        """method -> bytes of the memory limit that it leaves to the copies of earlier blocks."""

    def calibrate(self, name: str, phase: str) -> int:
        """Calls per block by the wall clock: a block lasts block_seconds, or longer if its preparation takes long.

        One call if the cache is cold.
        """
        if self.flush is not None:
            return 1
        prepared = self.prepared[name, phase]

        def prepare_and_call() -> float:
            return self.clock.block(lambda: self.fresh_call(name, prepared)(), 1)

        preparation = self.clock.undisturbed(prepare_and_call)
        call = self.fresh_call(name, prepared)
        return self.clock.calls_for(call, max(self.settings["block_seconds"], TIMED_OVER_PREPARED * preparation))

    def calibrate_on_device(self, name: str, phase: str) -> int | str | None:
        """Calls per block by the device clock, or why there is none; None if the device has no clock."""
        if self.on_device is None:
            return None
        fresh, size = self._new_copies(name, phase)
        spare = self.spare_bytes.get(name, math.inf)
        return self.on_device.calibrate((name, phase), fresh, size, self.settings["block_seconds"], spare)

    def time(self, name: str, phase: str, calls: int, check_state: Callable[[], object] | None = None) -> float:
        """Seconds per call of one block by the wall clock, after one untimed call and, for a cold cache, a flush.

        check_state: called after the block; raises if shared state has changed. Raises Incorrect if the result of the
        untimed call or of the last call is wrong, and RuntimeError if torch compiled something inside the block.
        """
        call, result = self._untimed_call(name, self.prepared[name, phase], self.checked[name, phase])
        kept = [result]
        del result  # the clock frees it inside the block
        if self.flush is not None:
            self.flush()
        compiled = compilations()
        seconds = self.clock.block(call, calls, kept)
        self._check_block(name, phase, compiled, kept, check_state)
        return seconds

    def time_on_device(
        self, name: str, phase: str, calls: int, check_state: Callable[[], object] | None = None
    ) -> float:
        """Seconds per call of one block by the device clock; NaN if every attempt was void. Otherwise as `time`.

        Raises ValueError for a device without a clock.
        """
        if self.on_device is None:
            raise ValueError(f"{self._device.type} has no clock of its own")
        compiled = compilations()
        kept: list[Any] = []
        seconds = self.on_device.time((name, phase), *self._new_copies(name, phase), calls, kept)
        self._check_block(name, phase, compiled, kept, check_state)
        return seconds

    def _check_block(
        self, name: str, phase: str, compiled: int, kept: list[Any], check_state: Callable[[], object] | None
    ) -> None:
        """Raise if a block is worthless; compiled: compilations before it; kept: ends with the last call's result."""
        if compilations() != compiled:
            raise RuntimeError("torch compiled something inside a block")
        if check_state is not None:
            check_state()
        if kept and (wrong := self.checked[name, phase].wrong(kept.pop())):
            raise Incorrect(wrong)

    def _untimed_call(self, name: str, prepared: PreparedPhase, checked: Checked) -> tuple[Call, Any]:
        """The call for a block, and the result of the untimed call before the block.

        Before the first blocks of a phase, its tensors hold other content during the untimed call, to see whether the
        phase follows its inputs. Raises Incorrect if it does not.
        """
        if not self.settings["fresh_memory"] and not checked.has_followed:
            # The block reads the tensors of the case themselves, which must not be changed.
            self.follow_apart(prepared, checked)
        copies = self._copies(name, prepared)
        call = prepared.bind(*copies)
        if checked.has_followed:
            return call, call()
        return call, checked.follow(prepared, copies, call, self.heap)

    def follow_apart(self, prepared: PreparedPhase, checked: Checked) -> None:
        """Check, without a block, whether a phase follows its inputs. Raises Incorrect if it does not."""
        copies = self.heap.fresh(prepared.reads)
        call = prepared.bind(*copies)
        while not checked.has_followed:
            checked.follow(prepared, copies, call, self.heap)

    def fresh_call(self, name: str, prepared: PreparedPhase) -> Call:
        """The call of a phase on the tensors that a block would read."""
        return prepared.bind(*self._copies(name, prepared))

    def _copies(self, name: str, prepared: PreparedPhase) -> Sequence[torch.Tensor]:
        """The tensors that a block of a phase reads: new copies, or without fresh_memory those of the case."""
        if self.settings["fresh_memory"]:
            return self.heap.fresh(prepared.reads, self.spare_bytes.get(name, math.inf))
        return [tensor.detach() for tensor in prepared.reads]

    def _new_copies(self, name: str, phase: str) -> tuple[Callable[[], Call], int]:
        """A function that makes the call of a phase on new copies of what it reads, and the bytes of one set."""
        prepared = self.prepared[name, phase]
        size = sum(map(bytes_of, prepared.reads))
        if self.flush is None:
            return lambda: self.fresh_call(name, prepared), size
        # With a cold cache several sets must be alive at once; the heap would free some of them.
        return lambda: prepared.bind(*(tensor.detach().clone() for tensor in prepared.reads)), size

    def few_places(self, name: str, phase: str) -> str:
        """A remark on a phase whose blocks alternate between fewer addresses than usual, or ''."""
        count = places(self.prepared[name, phase].reads, self.spare_bytes.get(name, math.inf))
        if count > EARLIER_COPIES or not self.settings["fresh_memory"]:
            return ""
        return f"{phase}: its blocks take turns in {count} of {EARLIER_COPIES + 1} places (limits.memory)"

    def with_all_memory(self, attempt: Callable[[], Result]) -> Result:
        """The result of an attempt; if it runs out of memory, a second one without the copies of earlier blocks."""
        try:
            return attempt()
        except (MemoryError, RuntimeError) as error:
            if failure(error)["status"] != "out_of_memory" or not self.heap.drop():
                raise
        return attempt()
