"""Does a phase follow its inputs? It is called on new memory, and later after that memory was given other content.

A method that caches by address, by tensor, by torch's version counter or by some of the numbers returns its old result
the second time. The result of the first call is remembered, so that the last call of every block can be compared with
it. The calls on other content take the place of the untimed calls of the first blocks; each follows a call on the own
content, because a method must have seen this memory before to remember what lay there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

LARGEST_MATRIX = 1 << 28
"""A selection matrix of more bytes is not rewritten, since that needs a second one: y beside it is halved instead."""

STALE = "does not follow what it reads: given other numbers in the same memory, it returns its old result"

CONTENTS = ("rolled", "exchanged", "raised")
"""The other contents (harness/topk/contents.py) in the order in which they are tried, one before each of the first
blocks."""

MEET_ALL = ("forward", "step", "jvp", "vjp")
"""The phases that meet all of them; the others meet the first. They select from y, so two entries that change places
change their result; a pipeline would need native's product and gradients once more."""

FAR = 0.05
"""A result of a relaxation that is off by more than this share of the largest entry is that of other numbers."""

WRITTEN_TO = "modified by an inplace operation"
"""Part of autograd's message about a tensor that was written to after the graph had saved it."""


@dataclass
class Checked:
    """A phase whose first call was right: what its later calls are compared with."""

    asked: Asked
    remembered: Remembered
    of_others: list[Remembered] = field(default_factory=list)
    """The results for other contents of the same memory, of those contents that were tried."""
    different: int = 0
    """How many results had other bits than the first."""

    @property
    def has_followed(self) -> bool:
        """Whether all other contents were tried."""
        return len(self.of_others) == (len(CONTENTS) if self.asked.phase in MEET_ALL else 1)

    def wrong(self, result: Any) -> str:
        """Why the result of a later call is wrong, or ''.

        Other bits alone are no fault: a device may add in any order, ties may be broken differently, and a selection
        may be random. Such a result is checked like the first one, but only the 1st, 2nd, 4th, 8th ... time, because
        the check costs as much as many blocks.
        """
        tensors = parts(self.asked.phase, result)
        if wrong := not_plain(tensors, self.asked.content.problem.case.device):
            return wrong
        if self.remembered.matches(tensors.values()):
            return ""
        if self._is_stale(tensors):
            return STALE
        self.different += 1
        is_power_of_two = self.different & (self.different - 1) == 0
        wrong = self.asked.wrong(tensors) if is_power_of_two else ""
        return wrong and f"a later call differs: {wrong}"

    def _is_stale(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Whether this is the result for the other content, and wrong for the phase's own."""
        if not any(other.matches(tensors.values()) for other in self.of_others):
            return False
        return not self.asked.method.exact or bool(self.asked.wrong(tensors))

    def follow(self, prepared: PreparedPhase, copies: Sequence[torch.Tensor], call: Call, heap: Heap) -> Any:
        """Call the phase while the copies that it reads hold the next content; then restore them and return the result.

        call: the phase bound to these copies. Raises Incorrect if the result is wrong.
        """
        method, phase = self.asked.method, self.asked.phase
        read, copy_of = (dict(zip(prepared.names, tensors, strict=True)) for tensors in (prepared.reads, copies))
        asked_anew, rewritten = _rewritten(self.asked, read, CONTENTS[len(self.of_others)])
        call()
        for name, content in rewritten.items():
            _write(copy_of[name], content)
        result = call()
        tensors = parts(phase, result)
        if wrong := not_plain(tensors, asked_anew.content.problem.case.device):
            raise Incorrect(wrong)
        if method.exact:
            wrong = asked_anew.wrong(tensors)
        else:
            wrong = _stale(self, tensors, lambda: _elsewhere(prepared, read | rewritten, heap, phase))
        if wrong:
            raise Incorrect(STALE if self.remembered.matches(tensors.values()) else f"a later call differs: {wrong}")
        self.of_others.append(Remembered(tensors.values()))
        for name in rewritten:
            _write(copy_of[name], read[name])
        return result


def first_call(method: Method, phase: str, prepared: PreparedPhase, content: Content, heap: Heap, loss: str) -> Checked:
    """Call a phase on new copies of what it reads; returns what later calls are compared with.

    Raises Incorrect if the result is wrong.
    """
    read = dict(zip(prepared.names, prepared.reads, strict=True))
    asked = Asked(method, phase, content, loss, prepared.selected, read.get("cotangent"))
    copies = heap.fresh(prepared.reads)
    call = prepared.bind(*copies)
    tensors = parts(phase, call())
    if wrong := not_plain(tensors, content.problem.case.device):
        raise Incorrect(wrong)
    if wrong := asked.wrong(tensors):
        # Correctness.compare has called the other phases before, and found them right.
        is_first = phase in (*DERIVATIVES, "step", "pipeline")
        raise Incorrect(wrong if is_first else f"a later call differs: {wrong}")
    if prepared.wrote(copies):
        raise Incorrect("changes its input")
    checked = Checked(asked, Remembered(tensors.values()))
    if phase == "backward" and method.implementation.build is None:  # the others would make a second S
        _differentiate_after_another(checked, call)
        _differentiate_a_sum(asked)
    return checked


def _differentiate_after_another(checked: Checked, call: Call) -> None:
    """Call `backward` once more, after a forward pass on another input: its graph has to keep what it needs.

    Raises Incorrect if the gradient is wrong. Where torch itself finds that the graph was written to, it has refused,
    and nothing is wrong.
    """
    method, problem = checked.asked.method, checked.asked.content.problem
    other = problem.y.roll(max(1, problem.case.n // 3), -1).requires_grad_()
    method.forward(other, problem.case.k)
    try:
        result = call()
    except RuntimeError as error:
        if WRITTEN_TO not in str(error):
            raise
        return
    if wrong := checked.wrong(result):
        raise Incorrect(f"after a forward pass on another input, {wrong}")


def _differentiate_a_sum(asked: Asked) -> None:
    """Differentiate the sum of the values: its cotangent is a single one, expanded, which has no memory for each entry.

    Raises Incorrect if the gradient is wrong.
    """
    y = asked.content.problem.y.clone().requires_grad_()
    values, indices = asked.method.forward(y, asked.content.problem.case.k)
    ones = torch.ones((), dtype=values.dtype, device=values.device).expand_as(values)
    (dy,) = torch.autograd.grad(values, y, ones)
    if wrong := replace(asked, cotangent=ones, selected=lambda: indices).wrong({"dy": dy}):
        raise Incorrect(f"of the sum of the values: {wrong}")


def _rewritten(asked: Asked, read: Mapping[str, torch.Tensor], to: str) -> tuple[Asked, dict[str, torch.Tensor]]:
    """New content for the tensors that a phase reads, by name; and the check of a result for that content.

    to: one of CONTENTS.
    """
    cotangent = None if asked.cotangent is None else -asked.cotangent.roll(1, -1)
    if asked.phase == "backward" and cotangent is not None:
        # y and S are part of the graph of autograd that `backward` keeps: only the cotangent can change.
        return replace(asked, cotangent=cotangent), {"cotangent": cotangent}
    content: Content = getattr(asked.content, to)
    rewritten: dict[str, torch.Tensor | None] = {
        "indices": content.indices,
        "y": content.problem.y,
        "weights": content.problem.weights,
        "W": content.problem.W,
        "x": content.problem.x,
        "cotangent": cotangent,
    }
    if "S" in read:
        if bytes_of(read["S"]) > LARGEST_MATRIX:
            halved = asked.content.halved
            return replace(asked, content=halved), {"y": halved.problem.y}
        build = asked.method.implementation.build
        assert build is not None
        rewritten["S"] = build(content.indices, content.problem.case.n, content.problem.y.dtype)
    used = {name: tensor for name, tensor in rewritten.items() if name in read and tensor is not None}
    return replace(asked, content=content, cotangent=cotangent), used


def _write(into: torch.Tensor, content: torch.Tensor) -> None:
    """Overwrite the memory of a tensor with another one of the same layout."""
    for part, source in zip(parts_of(into), parts_of(content), strict=True):
        part.data.copy_(source)  # through .data, torch's version counter does not change


def _elsewhere(
    prepared: PreparedPhase, content: Mapping[str, torch.Tensor], heap: Heap, phase: str
) -> dict[str, torch.Tensor]:
    """The result of a phase for this content in new memory."""
    reads = tuple(content[name] for name in prepared.names)
    return parts(phase, prepared.bind(*heap.fresh(reads))())


def _stale(
    checked: Checked, tensors: Mapping[str, torch.Tensor], anew: Callable[[], Mapping[str, torch.Tensor]]
) -> str:
    """A reason if a relaxation returns its old result for the new content, or one that is far from that in new memory.

    Its results cannot be checked otherwise, since nothing defines what a relaxation returns. One that returns something
    else at every call may be random, and passes. Indices are never far: a device may break ties in any way.
    """
    expected = {name: tensor.detach().clone() for name, tensor in anew().items()}
    if checked.remembered.matches(tensors.values()) and not checked.remembered.matches(expected.values()):
        return "it remembers"
    far = [name for name, tensor in tensors.items() if _is_far(tensor.detach(), expected[name])]
    if far and Remembered(expected.values()).matches(anew().values()):
        return f"in new memory it has other {far[0]}"
    return ""


def _is_far(tensor: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether an entry of a dense tensor of numbers is off by more than FAR of the largest, or is no longer finite.

    What is less may be due to another order of summation, which can depend on the address.
    """
    if tensor.layout != torch.strided or not tensor.is_floating_point():
        return False
    if tensor.shape != expected.shape or not torch.equal(tensor.isfinite(), expected.isfinite()):
        return True
    off, size = (
        each.nan_to_num(0.0, 0.0, 0.0).abs().max() for each in (tensor.double() - expected.double(), expected.double())
    )
    return bool(off > FAR * size)
