"""Does a phase follow what it reads? It is called on new memory, and later when the same memory holds something else.

A method that remembers by address, by tensor or by version returns what it returned before. What the first call
returned is remembered, so that the last call of every block can be held to it. The call on other numbers takes the
place of the untimed call of the first block: a call of its own would cost a timing run 2 % of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from harness.device.clock import Call
from harness.device.heap import Heap, bytes_of, parts_of
from harness.methods import Method
from harness.topk.contents import Asked, Content
from harness.topk.phases import PreparedPhase
from harness.topk.results import Remembered, not_plain, parts
from harness.vocabulary import DERIVATIVES
from harness.worker.failures import Incorrect

LARGEST_MAP = 1 << 28
"""A map of more bytes is not rewritten, since that takes one more map: y beside it is halved instead."""


STALE = "does not follow what it reads: of other numbers in the same memory it returns what it did before"


@dataclass
class Checked:
    """A phase whose first call was right: what later calls are held to."""

    asked: Asked
    remembered: Remembered
    of_other_numbers: Remembered | None = None
    """What the phase returned when what it reads held other numbers; None until it was called so."""
    unlike: int = 0
    """How often a result had other bits."""

    def wrong(self, result: Any) -> str:
        """Why the result of a later call is wrong, or ''.

        Other bits are no fault in themselves: a device may add in any order, ties may be broken anew, a selection may
        be random. Such a result is checked as the first was, the first time, the second, the fourth and so on: the
        check costs as much as many blocks.
        """
        found = parts(self.asked.phase, result)
        if wrong := not_plain(found, self.asked.content.problem.case.device):
            return wrong
        if self.remembered.matches(found.values()):
            return ""
        if self._is_stale(found):
            return STALE
        self.unlike += 1
        again = self.unlike & (self.unlike - 1) == 0
        wrong = self.asked.wrong(found) if again else ""
        return wrong and f"a later call differs: {wrong}"

    def _is_stale(self, found: Mapping[str, torch.Tensor]) -> bool:
        """Whether this is what the phase returned of other numbers, and is wrong of its own."""
        if self.of_other_numbers is None or not self.of_other_numbers.matches(found.values()):
            return False
        return not self.asked.method.exact or bool(self.asked.wrong(found))

    def follow(self, prepared: PreparedPhase, copies: Sequence[torch.Tensor], call: Call, heap: Heap) -> Any:
        """Call the phase while the copies that it reads hold other numbers, then write back what they held.

        call: the phase bound to these copies. Returns what it returned. Raises Incorrect where that is wrong.
        """
        method, phase = self.asked.method, self.asked.phase
        read, own = (dict(zip(prepared.names, each, strict=True)) for each in (prepared.reads, copies))
        other, rewritten = _rewritten(self.asked, read)
        for name, content in rewritten.items():
            _write(own[name], content)
        result = call()
        found = parts(phase, result)
        if wrong := not_plain(found, other.content.problem.case.device):
            raise Incorrect(wrong)
        if method.exact:
            wrong = other.wrong(found)
        else:
            wrong = _stale(self, found, lambda: _elsewhere(prepared, read | rewritten, heap, phase))
        if wrong:
            raise Incorrect(STALE if self.remembered.matches(found.values()) else f"a later call differs: {wrong}")
        self.of_other_numbers = Remembered(found.values())
        for name in rewritten:
            _write(own[name], read[name])
        return result


def first_call(method: Method, phase: str, prepared: PreparedPhase, content: Content, heap: Heap, loss: str) -> Checked:
    """Call a phase on new copies of what it reads. Returns what later calls are held to; raises Incorrect where the
    result is wrong."""
    read = dict(zip(prepared.names, prepared.reads, strict=True))
    asked = Asked(method, phase, content, loss, prepared.selected, read.get("cotangent"))
    found = parts(phase, prepared.bind(*heap.fresh(prepared.reads))())
    if wrong := not_plain(found, content.problem.case.device):
        raise Incorrect(wrong)
    if wrong := asked.wrong(found):
        seen_before = phase not in (*DERIVATIVES, "step", "pipeline")
        raise Incorrect(f"a later call differs: {wrong}" if seen_before else wrong)
    return Checked(asked, Remembered(found.values()))


def _rewritten(asked: Asked, read: Mapping[str, torch.Tensor]) -> tuple[Asked, dict[str, torch.Tensor]]:
    """What is to be asked once the memory that the phase reads holds something else, and what that is.

    y and S are part of the graph that `backward` keeps, so of what it reads only the cotangent changes.
    """
    cotangent = None if asked.cotangent is None else -asked.cotangent.roll(1, -1)
    if asked.phase == "backward" and cotangent is not None:
        return replace(asked, cotangent=cotangent), {"cotangent": cotangent}
    content = asked.content.rolled
    rewritten: dict[str, torch.Tensor | None] = {
        "indices": content.indices,
        "y": content.problem.y,
        "weights": content.problem.weights,
        "W": content.problem.W,
        "x": content.problem.x,
        "cotangent": cotangent,
    }
    if "S" in read:
        if bytes_of(read["S"]) > LARGEST_MAP:
            halved = asked.content.halved
            return replace(asked, content=halved), {"y": halved.problem.y}
        build = asked.method.implementation.build
        assert build is not None
        rewritten["S"] = build(content.indices, content.problem.case.n, content.problem.y.dtype)
    used = {name: each for name, each in rewritten.items() if name in read and each is not None}
    return replace(asked, content=content, cotangent=cotangent), used


def _write(into: torch.Tensor, content: torch.Tensor) -> None:
    """Rewrite the memory of a tensor, as the same layout; what torch counts as its version stays."""
    for part, source in zip(parts_of(into), parts_of(content), strict=True):
        part.data.copy_(source)


def _elsewhere(
    prepared: PreparedPhase, content: Mapping[str, torch.Tensor], heap: Heap, phase: str
) -> dict[str, torch.Tensor]:
    reads = tuple(content[name] for name in prepared.names)
    return parts(phase, prepared.bind(*heap.fresh(reads))())


def _stale(checked: Checked, found: Mapping[str, torch.Tensor], anew: Callable[[], Mapping[str, torch.Tensor]]) -> str:
    """Of a relaxation, which nothing says what it returns: whether it returns what it did before, and elsewhere not."""
    if checked.remembered.matches(found.values()) and not checked.remembered.matches(anew().values()):
        return "it remembers"
    return ""
