"""The answer of a run in sentences: which method to take for each use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.report.advice import Advice, Choice
from harness.verdicts.ratios import FEWEST_LAUNCHES

NEEDS = {
    "forward": "the values alone (forward)",
    "step": "the values and their gradient (step)",
    "pipeline": "topk(W x) with the gradients of W and x (pipeline)",
    "backward": "the gradient alone (backward)",
}
"""phase -> what somebody needs who pays for it."""

NATIVE = Markup("<b>native</b>")


@dataclass(frozen=True)
class Use:
    """A shape with its sizes, or '' twice, and a sentence for each need."""

    shape: str
    sizes: str
    sentences: tuple[Markup, ...]


def uses(advice: Sequence[Advice]) -> list[Use]:
    """A use for each shape, in the order of the study; of a study without shapes one."""
    found: dict[tuple[str, str], list[Advice]] = {}
    for each in advice:
        found.setdefault((each.shape, each.sizes if each.shape else ""), []).append(each)
    return [Use(*names, tuple(map(take, some))) for names, some in found.items()]


def take(advice: Advice) -> Markup:
    """What to take for one need, and how much of it is not said."""
    need = Markup("For {}, ").format(NEEDS[advice.need])
    if advice.unranked > advice.cases:  # an answer for a few cases must not be read as one for all of them
        rest = Markup(" In the others, {}").format(_choices(advice)) if advice.cases else Markup("")
        return need + Markup("{}.").format(_few(advice.cases, advice.unranked)) + rest
    return Markup(" ").join([need + _choices(advice), *_rest(advice)])


def _few(cases: int, unranked: int) -> str:
    """'30 of 33 cases have fewer than 3 launches, too few for an answer'."""
    every = f"all {unranked} cases have" if unranked > 1 else "the only case has"
    of = f"{unranked} of {cases + unranked} cases have" if cases else every
    return f"{of} fewer than {FEWEST_LAUNCHES} launches, too few for an answer"


def in_short(advice: Sequence[Advice]) -> Markup:
    """All uses in one sentence: which methods are ever worth it, how often, and by how much; '' without any case."""
    asked = [each for each in advice if each.need != "backward"] or list(advice)
    cases, unranked = (sum(getattr(each, name) for each in asked) for name in ("cases", "unranked"))
    if unranked > cases:
        return Markup("{}.").format(_few(cases, unranked).capitalize())
    if not cases:
        return Markup("")
    gains: dict[str, list[Choice]] = {}
    for each in asked:
        for choice in each.choices:
            gains.setdefault(choice.method, []).append(choice)
    if not gains:
        where = f"all {cases} cases" if cases > 1 else "the only case"
        return Markup(" ").join([Markup("Take {} in {}.").format(NATIVE, where), *_unranked(asked)])
    most = " times as fast as native"
    told = []
    for method, some in sorted(gains.items(), key=lambda each: -sum(one.cases for one in each[1])):
        count, gain = sum(each.cases for each in some), max(each.gain[1] for each in some)
        told.append(Markup("<b>{}</b> in {} (up to {:.2g}{})").format(method, count, gain, most))
        most = " times"
    if left := sum(each.left for each in asked):
        told.append(Markup("another method in {}").format(left))
    if any(each.native for each in asked):
        told.append(Markup("otherwise {}").format(NATIVE))
    return Markup(" ").join([Markup("Of {} cases, take {}.").format(cases, Markup(", ").join(told)), *_unranked(asked)])


def spread(least: float, most: float) -> str:
    """'1.2 to 1.9', or one number where two digits do not tell the ends apart."""
    low, high = f"{least:.2g}", f"{most:.2g}"
    return low if low == high else f"{low} to {high}"


def _choices(advice: Advice) -> Markup:
    if not advice.choices:
        return Markup("take {}.").format(NATIVE)
    by_method: dict[str, list[Choice]] = {}
    for each in advice.choices:
        by_method.setdefault(each.method, []).append(each)
    told = Markup("; or ").join(_choice(method, some) for method, some in by_method.items())
    otherwise = Markup(" Otherwise take {}.").format(NATIVE) if advice.native else Markup("")
    return Markup("take {}.").format(told) + otherwise


def _choice(method: str, choices: Sequence[Choice]) -> Markup:
    """'fused in float32, or in bfloat16, k = 8 (1.2 to 1.9 times as fast as native)'."""
    *first, last = [_placed(each.where) for each in choices]
    where = "; and ".join(filter(None, ("; ".join(first), last)))
    gain = spread(min(each.gain[0] for each in choices), max(each.gain[1] for each in choices))
    told = Markup("<b>{}</b>{}").format(method, where and f" {where}")
    return told + Markup(" ({} times as fast as native)").format(gain)


def _placed(where: str) -> str:
    return where if not where or where.startswith("in ") else f"at {where}"


def _rest(advice: Advice) -> Iterator[str]:
    if advice.left:
        yield f"In {advice.left} of the {advice.cases} cases another method is faster: look up your case."
    yield from _unranked([advice])


def _unranked(advice: Sequence[Advice]) -> Iterator[str]:
    """In how many cases nothing can be said, where there are such."""
    if unranked := sum(each.unranked for each in advice):
        more = "more " if any(each.cases for each in advice) else ""
        cases = "case" if unranked == 1 else "cases"
        yield f"In {unranked} {more}{cases} there are too few launches for an answer (under {FEWEST_LAUNCHES})."
