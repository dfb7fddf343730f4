"""The answer of a run in sentences: which method to take for each use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.report.advice import Advice, Choice
from harness.verdicts.fastest import WORTH
from harness.verdicts.ratios import FEWEST_LAUNCHES
from harness.verdicts.wording import two_digits
from harness.vocabulary import many

NEEDS = {
    "forward": "the values alone (forward)",
    "step": "the values and their gradient (step)",
    "pipeline": "topk(W x) with the gradients of W and x (pipeline)",
    "backward": "the gradient alone (backward)",
}
"""phase -> what somebody who pays for it needs."""

NATIVE = Markup("<b>native</b>")

NO_OTHER = f"no other method is surely faster by {100 * (WORTH - 1):.0f} % or more"
"""Why native is taken. Where intervals are wide native need not be the fastest, so no sentence says that it is."""


@dataclass(frozen=True)
class Use:
    """One shape of a study and its sizes, both '' in a study without shapes; and a sentence for each need."""

    shape: str
    sizes: str
    sentences: tuple[Markup, ...]


def uses(advice: Sequence[Advice]) -> list[Use]:
    """One use for each shape, in the order of the study, or a single one where the study has no shapes."""
    by_shape: dict[tuple[str, str], list[Advice]] = {}
    for one_need in advice:
        by_shape.setdefault((one_need.shape, one_need.sizes if one_need.shape else ""), []).append(one_need)
    return [Use(*names, tuple(map(take, needs))) for names, needs in by_shape.items()]


def take(advice: Advice) -> Markup:
    """Which method to take for one need, and in how many cases that cannot be said."""
    need = Markup("For {}, ").format(NEEDS[advice.need])
    if advice.unranked > advice.cases:  # an answer for a few cases must not be read as one for all of them
        rest = Markup(" In the others, {}").format(_choices(advice)) if advice.cases else Markup("")
        return need + Markup("{}.").format(_few(advice.cases, advice.unranked)) + rest
    return Markup(" ").join([need + _choices(advice), *_unranked([advice])])


def _few(cases: int, unranked: int, counted: str = "") -> str:
    """'30 of 33 cases have fewer than 3 launches, too few for an answer'; counted: a remark on how they are counted."""
    every = f"all {unranked} cases{counted} have" if unranked > 1 else "the only case has"
    which = f"{unranked} of {cases + unranked} cases{counted} have" if cases else every
    return f"{which} fewer than {FEWEST_LAUNCHES} launches, too few for an answer"


def in_short(advice: Sequence[Advice]) -> Markup:
    """All uses in one sentence: which methods are worth taking, in how many cases, and their largest speed-up.

    '' where there is no case.
    """
    asked = [need for need in advice if need.need != "backward"] or list(advice)
    cases, unranked = sum(need.cases for need in asked), sum(need.unranked for need in asked)
    counted = ", counted once for each need," if len({need.need for need in asked}) > 1 else ""
    if unranked > cases:
        return Markup("{}.").format(_few(cases, unranked, counted).capitalize())
    if not cases:
        return Markup("")
    gains: dict[str, list[Choice]] = {}
    for need in asked:
        for choice in need.choices:
            gains.setdefault(choice.method, []).append(choice)
    if all(need.native == need.cases for need in asked):
        where = f"all {cases} cases{counted}" if cases > 1 else "the only case"
        return Markup(" ").join([Markup("In {} take {}: {}.").format(where, NATIVE, NO_OTHER), *_unranked(asked)])
    unit = " times as fast as native"
    parts = []
    for method, choices in sorted(gains.items(), key=lambda gain: -sum(choice.cases for choice in gain[1])):
        count, most = sum(choice.cases for choice in choices), max(choice.gain[1] for choice in choices)
        parts.append(Markup("<b>{}</b> in {} (up to {}{})").format(method, count, two_digits(most, zeros=False), unit))
        unit = " times"
    if left := sum(need.left for need in asked):
        parts.append(Markup("another method in {}").format(left))
    why = ""
    if any(need.native for need in asked):
        parts.append(Markup("otherwise {}").format(NATIVE))
        why = f", where {NO_OTHER}"
    taken = Markup("Of {} cases{} take {}{}.").format(cases, counted or ",", Markup(", ").join(parts), why)
    return Markup(" ").join([taken, *_unranked(asked)])


def spread(least: float, most: float) -> str:
    """'1.2 to 1.9', or a single number where both ends are the same with two digits."""
    low, high = two_digits(least, zeros=False), two_digits(most, zeros=False)
    return low if low == high else f"{low} to {high}"


def _choices(advice: Advice) -> Markup:
    """The choices, the cases that no choice names, and native; begins with a small letter."""
    by_method: dict[str, list[Choice]] = {}
    for choice in advice.choices:
        by_method.setdefault(choice.method, []).append(choice)
    sentences = []
    if by_method:
        taken = Markup("; or ").join(_choice(method, choices) for method, choices in by_method.items())
        sentences.append(Markup("take {}.").format(taken))
    if advice.left:
        where = f"{'In' if sentences else 'in'} {advice.left} of the {advice.cases} cases"
        sentences.append(Markup("{} another method is faster: look up your case.").format(where))
    if advice.native:
        native = Markup("{} {}: {}.").format("Otherwise take" if sentences else "take", NATIVE, NO_OTHER)
        sentences.append(native)
    return Markup(" ").join(sentences)


def _choice(method: str, choices: Sequence[Choice]) -> Markup:
    """'fused in float32; and in bfloat16, k = 8 (1.2 to 1.9 times as fast as native)'."""
    *first, last = [_placed(choice.where) for choice in choices]
    where = "; and ".join(filter(None, ("; ".join(first), last)))
    gain = spread(min(choice.gain[0] for choice in choices), max(choice.gain[1] for choice in choices))
    named = Markup("<b>{}</b>{}").format(method, where and f" {where}")
    return named + Markup(" ({} times as fast as native)").format(gain)


def _placed(where: str) -> str:
    return where if not where or where.startswith("in ") else f"at {where}"


def _unranked(advice: Sequence[Advice]) -> Iterator[str]:
    """A sentence that says in how many cases there are too few launches, where there are any."""
    if unranked := sum(need.unranked for need in advice):
        cases = many(unranked, "more case" if any(need.cases for need in advice) else "case")
        yield f"In {cases} there are too few launches for an answer (under {FEWEST_LAUNCHES})."
