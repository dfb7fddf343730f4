"""Whether the output of a method is right, and how exact it is: one call, compared with native and the references."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from harness.accuracy.assessment import Assessment
from harness.accuracy.discrepancies import Figure, figures, proof_figures, unexplained
from harness.accuracy.references import References
from harness.accuracy.repeats import repeat_figures
from harness.methods import Method, method
from harness.precision.own_metrics import import_metrics
from harness.state.watch import Watch
from harness.topk.checks import changed, restore, same_bits, wrong_outcome
from harness.topk.contents import Content
from harness.topk.outcome import Outcome, run_once, selected_of
from harness.topk.problems import Draws, Problem
from harness.topk.results import not_plain
from harness.topk.transforms import as_run
from harness.worker.failures import Incorrect


class Correctness:
    """Compares the outputs of methods on one problem with native's and with the references."""

    def __init__(self, problem: Problem, draws: Draws, settings: Mapping[str, Any]) -> None:
        """draws: made the problem, from its last numbers. settings: of the request that opened the case; read are
        `loss`, `tensors`, `references` and `metrics`.
        """
        self._problem, self._drawn, self._settings = problem, draws.last, settings
        self.loss = str(settings["loss"])
        outcome = self._run_native(problem)
        self.native_is_wrong = wrong_outcome(method("native"), outcome, problem, self.loss)
        self._native = selected_of(outcome)
        import_metrics(settings["metrics"])
        self._references = References(problem, self._native, self.loss)

    def _run_native(self, problem: Problem) -> Outcome:
        native = as_run(method("native"), replace(problem.case, transform="eager"))
        return run_once(native, problem, self.loss, with_dS=False)

    @cached_property
    def content(self) -> Content:
        """The tensors that the phases read, and the right answer for them."""
        indices = self._problem.y.topk(self._problem.case.k).indices
        return Content(self._problem, indices, self._problem, self._run_native)

    @cached_property
    def _assessed_native(self) -> Assessment:
        """Native compared with the references: other methods' errors are also given as a multiple of native's."""
        return Assessment(None, self._references, summed_again=False)

    def compare(self, chosen: Method, measure: Collection[str], watch: Watch) -> tuple[str, str, list[list[Any]]]:
        """Call a method once: why its output is wrong, or ''; which tensors it lacks, or ''; and its figures.

        measure: figures are made for 'errors' and for 'repeats', which calls the method again. Raises Spoilt if the
        method changes shared state, and whatever it raises.
        """
        settings = self._settings
        with_dS = bool({"errors", "repeats"} & {*measure}) and "dS" in settings["tensors"]
        call = partial(self._call, chosen, with_dS, watch)
        found: list[Figure] = []
        try:
            outcome = call()
            wrong = self._wrong(chosen, outcome)
            if not wrong and "errors" in measure:
                found = self._errors(chosen, outcome)
                wrong = unexplained(found)
            if not wrong and "repeats" in measure:
                found += repeat_figures(outcome, call, settings["tensors"], settings["metrics"])
        except Incorrect as error:
            return str(error), "", []
        missing = "; ".join(f"no {tensor}: {why}" for tensor, why in outcome.missing.items())
        return wrong, missing, [[f.tensor, f.of, f.reference, f.metric, f.value] for f in found]

    def _call(self, chosen: Method, with_dS: bool, watch: Watch) -> Outcome:
        """The outcome of one call. Raises Incorrect if it has written into the inputs.

        The inputs are then restored, as after a call that fails: the next method must find them as they were.
        """
        # Only a product needs a copy: other inputs are compared with the numbers that they were cast from.
        y = self._problem.y.clone() if self._problem.case.d else self._problem.y
        try:
            outcome = run_once(chosen, self._problem, self.loss, with_dS=with_dS)
            watch.hold()
        except Exception:
            restore(self._problem, self._drawn, y)
            raise
        if outcome.wrote or changed(self._problem, self._drawn, y):
            restore(self._problem, self._drawn, y)
            raise Incorrect("changes its input")
        return outcome

    def _wrong(self, chosen: Method, outcome: Outcome) -> str:
        """Why the output of a method is wrong, or ''."""
        gradients = {name: getattr(outcome, name) for name in ("dy", "dx", "dW")}
        returned = {"values": outcome.values, "indices": outcome.indices}
        returned |= {name: gradient for name, gradient in gradients.items() if gradient is not None}
        if wrong := not_plain(returned, self._problem.case.device):
            return wrong
        if same_bits(outcome, self._native):
            return self.native_is_wrong
        return wrong_outcome(chosen, outcome, self._problem, self.loss)

    def _errors(self, chosen: Method, outcome: Outcome) -> list[Figure]:
        """The figures of a method's outcome compared with the references."""
        native = None if chosen.name == "native" else lambda: self._assessed_native
        multiplies_again = chosen.implementation.forward is None
        assessment = Assessment(outcome, self._references, summed_again=multiplies_again, native=native)
        proof_before = self._references.proof
        compared = (self._settings[name] for name in ("tensors", "references", "metrics"))
        found = list(figures(assessment, *compared, exact=chosen.exact))
        return [*found, *proof_figures(self._references.proof, proof_before)]
