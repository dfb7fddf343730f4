"""The commit that made a quantity slower, larger or less exact: duels of a good commit against those after it.

The first duel, of the good commit against the bad one, says what changed. One quantity of that is then asked of the
commits between them, each against the good one: a cell alone takes seconds where the study takes minutes. A commit is
bad when it has more than half of the change. Where instructions are counted, and no time is surely worse, the quantity
may be a count, which no load of the machine changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.bisect.commits import forks, next_to_try, refuse_cut, told, told_with_subject
from harness.bisect.search import Search
from harness.duel import Question
from harness.duel.origin import at_commit
from harness.errors import CannotRun, Interrupted, UserError
from harness.planning.loading import Say
from harness.repository.checkout import commit_of
from harness.study.definition import Study
from harness.verdicts.comparison import FAILING
from harness.verdicts.counts import INSTRUCTIONS, counted_more
from harness.verdicts.quantities import of_quantity, refuse_unmeant
from harness.verdicts.wording import change_text, counts_text, quantity_name, ratio_text
from harness.vocabulary import EXIT_FAILED, EXIT_INCONCLUSIVE, RESULTS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bisect"]

SHOWN = 20
"""Commits that are listed where it cannot be told which of them it is."""


def bisect(
    study: Study,
    good: str,
    bad: str,
    quantity: str = "",
    results: str | Path = RESULTS,
    say: Say = print,
    *,
    until_decided: float | None = None,
) -> int:
    """Find the commit between two that made a quantity of a study worse. The last line that is said names it.

    good, bad: revisions; quantity: words of the quantities that are asked for, such as 'time of forward', or '' for
    all; until_decided: seconds that each duel may take in place of the budget of the study. Returns the exit code: 1
    where a commit is found, 0 where no quantity is worse, 3 where it cannot be told.
    Raises UserError where these revisions cannot be a good and a bad one, or the first duel cannot be fought, and
    Interrupted at Ctrl-C.
    """
    refuse_unmeant(study, quantity)
    first, last, others, left = _ends(good, bad)
    duels = 1 + len(others) + math.ceil(math.log2(len(left)))
    say(f"good  {told_with_subject(first)}")
    say(f"bad   {told_with_subject(last)}: {len(left)} commits after the good one, so about {duels} duels")
    with ExitStack() as stack:
        try:
            reference = stack.enter_context(at_commit(first, told_as=good, methods=study.methods))
        except UserError as error:
            raise UserError(f"bisect: {error}") from None
        search = Search(study, Path(results), say, reference, [first], last, until_decided=until_decided)
        try:
            return _search(search, others, quantity)
        except KeyboardInterrupt:
            known = f"--good {told(search.good[-1])} --bad {told(search.bad)}"
            raise Interrupted(f"after {search.duels} duels; go on with {known}") from None


def _ends(good: str, bad: str) -> tuple[str, str, list[str], list[str]]:
    """The commits that these words mean, those where their histories part, and those of which one is the first bad."""
    try:
        first, last = commit_of(good), commit_of(bad)
        others = forks(first, last)
        _, left = next_to_try(last, [first], ())
        refuse_cut(left)
    except UserError as error:
        raise UserError(f"bisect: {error}") from None
    return first, last, others, left


def _search(search: Search, others: Iterable[str], quantity: str) -> int:
    try:
        fought = search.fight(search.bad, search.study)
    except CannotRun as error:
        why = str(error).removeprefix("duel: ")
        sides = f"the base is {told(search.good[0])}, the head {told(search.bad)}"
        raise UserError(f"bisect: {why} ({sides})") from None
    search.say(f"the duels are kept in {fought.path.parent}")
    asked = of_quantity(fought.verdicts, quantity)
    failing = asked[asked["verdict"].isin(FAILING)]
    if failing.empty:
        failing = counted_more(fought.verdicts, asked)
    if failing.empty:
        return _nothing_found(search, asked)
    change = failing.iloc[0].to_dict()
    search.rows[search.bad] = change
    search.say(f"{change['verdict']}: {quantity_name(change)}: {change_text(change)}")
    if len(failing) > 1:
        more = len(failing) - 1
        are = "quantity is" if more == 1 else "quantities are"
        search.say(f"{more} more {are} {_words(failing)}: --only and --quantity choose another")
    question = Question(change)
    for fork in others:
        answer = search.ask(question, fork)
        if answer is None:
            search.say("it cannot be told whether the change was made before the two histories parted")
            return EXIT_INCONCLUSIVE
        if answer:
            base = f"{told(fork)}, where the two histories part, is bad already"
            raise UserError(f"bisect: {base}: the good commit's history has undone what is looked for")
    return _found(search, search.narrow(question))


def _words(failing: pd.DataFrame) -> str:
    """What is said of several quantities, one of which is looked for."""
    return "undecided with more instructions" if (failing["kind"] == INSTRUCTIONS).all() else "slower, worse or lost"


def _nothing_found(search: Search, asked: pd.DataFrame) -> int:
    """Say that no quantity is worse, or, where some are undecided, that this is not known."""
    between = f"between {told(search.good[0])} and {told(search.bad)}"
    undecided = int((asked["verdict"] == "inconclusive").sum())
    if asked.empty:
        search.say(f"no duel measures this quantity: it cannot be told whether a commit {between} made it worse")
        return EXIT_INCONCLUSIVE
    made = f"{between} made anything slower, larger or less exact: {counts_text(asked)}"
    if undecided:
        search.say("fewer cells (--only) have more launches in the same time; so has a larger budget_seconds")
        search.say(f"it cannot be told whether a commit {made}")
        return EXIT_INCONCLUSIVE
    search.say(f"no commit {made}")
    return 0


def _found(search: Search, left: list[str]) -> int:
    """Say which commit it is, the last line, or of which ones it is one."""
    skipped = len(search.skipped)
    duels = f"{search.duels} duels" + (f", {skipped} commits skipped" if skipped else "")
    if len(left) > 1:
        for commit in left[:SHOWN]:
            search.say(told_with_subject(commit))
        more = f" ({SHOWN} of all are listed)" if len(left) > SHOWN else ""
        others = f"one of {len(left) - 1} that were skipped{more}"
        search.say(f"the first bad commit is {told(search.bad)} or {others}: {duels}")
        return EXIT_INCONCLUSIVE
    row: Any = search.rows[search.bad]
    search.say(f"the first bad commit, by {quantity_name(row)}, against {told(search.good[0])}: {duels}")
    search.say(f"{told_with_subject(search.bad)}: {ratio_text(row)}")
    return EXIT_FAILED
