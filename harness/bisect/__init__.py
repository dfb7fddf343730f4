"""Finds the commit that made a quantity slower, larger or less exact, by duels of a good commit with later ones.

The first duel, between the good and the bad commit, shows what changed. The search then follows one changed quantity:
commits between the two are duelled with the good one, for that cell alone, which takes seconds where the whole study
takes minutes. A commit is bad if it has more than half of the change. If instructions are counted and no time is surely
worse, the quantity may be a count, which does not depend on the load of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.bisect.commits import forks, name_and_subject, next_to_try, refuse_cut, short_name
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
from harness.vocabulary import EXIT_FAILED, EXIT_INCONCLUSIVE, RESULTS, many

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bisect"]

SHOWN = 20
"""At most this many commits are listed if the search ends with several that may be the first bad one."""


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
    """Find the commit between two that made a quantity of a study worse. The last line passed to `say` names it.

    good, bad: revisions; quantity: part of the names of the quantities to look at, such as 'time of forward', or '' for
    all; until_decided: seconds that each duel may take, instead of the study's budget. Returns the exit code: 1 if a
    commit is found, 0 if no quantity is worse, 3 if it cannot be decided.
    Raises UserError if these revisions cannot be a good and a bad one or the first duel is impossible, and Interrupted
    at Ctrl-C.
    """
    refuse_unmeant(study, quantity)
    first, last, fork_points, left = _ends(good, bad)
    duels = 1 + len(fork_points) + math.ceil(math.log2(len(left)))
    say(f"good  {name_and_subject(first)}")
    commits = many(len(left), "commit")
    say(f"bad   {name_and_subject(last)}: {commits} after the good one, so about {many(duels, 'duel')}")
    with ExitStack() as stack:
        try:
            reference = stack.enter_context(at_commit(first, named=good, methods=study.methods))
        except UserError as error:
            raise UserError(f"bisect: {error}") from None
        search = Search(study, Path(results), say, reference, [first], last, until_decided=until_decided)
        try:
            return _search(search, fork_points, quantity)
        except KeyboardInterrupt:
            known = f"--good {short_name(search.good[-1])} --bad {short_name(search.bad)}"
            raise Interrupted(f"after {many(search.duels, 'duel')}; go on with {known}") from None


def _ends(good: str, bad: str) -> tuple[str, str, list[str], list[str]]:
    """The commits that these revisions mean, their fork points, and the commits that may be the first bad one."""
    try:
        first, last = commit_of(good), commit_of(bad)
        fork_points = forks(first, last)
        _, left = next_to_try(last, [first], ())
        refuse_cut(left)
    except UserError as error:
        raise UserError(f"bisect: {error}") from None
    return first, last, fork_points, left


def _search(search: Search, fork_points: Iterable[str], quantity: str) -> int:
    """Duel the two ends, choose the gravest change, and narrow the commits down. Returns the exit code."""
    try:
        fought = search.fight(search.bad, search.study)
    except CannotRun as error:
        why = str(error).removeprefix("duel: ")
        sides = f"the base is {short_name(search.good[0])}, the head {short_name(search.bad)}"
        raise UserError(f"bisect: {why} ({sides})") from None
    search.say(f"the duels are kept in {fought.path.parent}")
    chosen = of_quantity(fought.verdicts, quantity)
    failing = chosen[chosen["verdict"].isin(FAILING)]
    if failing.empty:  # counts do not depend on the load, so they may show a change that the times cannot
        failing = counted_more(fought.verdicts, chosen)
    if failing.empty:
        return _nothing_found(search, chosen, quantity)
    change = failing.iloc[0].to_dict()  # the gravest: verdicts are sorted
    search.rows[search.bad] = change
    search.say(f"{change['verdict']}: {quantity_name(change)}: {change_text(change)}")
    if len(failing) > 1:
        more = len(failing) - 1
        are = "quantity is" if more == 1 else "quantities are"
        search.say(f"{more} more {are} {_words(failing)}: --only and --quantity choose another")
    question = Question(change)
    for fork in fork_points:  # the search is right only if the change was made after the two histories parted
        answer = search.ask(question, fork)
        if answer is None:
            search.say("it cannot be decided whether the change was made before the two histories parted")
            return EXIT_INCONCLUSIVE
        if answer:
            base = f"{short_name(fork)}, where the two histories part, is bad already"
            raise UserError(f"bisect: {base}: the good commit's history has undone the change")
    return _found(search, search.narrow(question))


def _words(failing: pd.DataFrame) -> str:
    """What several failing quantities have in common, in words."""
    return "undecided with more instructions" if (failing["kind"] == INSTRUCTIONS).all() else "slower, worse or lost"


def _nothing_found(search: Search, chosen: pd.DataFrame, quantity: str) -> int:
    """Say that no quantity is worse, or that this cannot be decided, and return the exit code. quantity: the words by
    which the rows were `chosen`; '': all of them."""
    between = f"between {short_name(search.good[0])} and {short_name(search.bad)}"
    undecided = int((chosen["verdict"] == "inconclusive").sum())
    # Verdicts on whole cells are always among the chosen; a cell that is new says nothing about the quantity.
    measured = bool((chosen["kind"] != "cell").any())
    if chosen.empty or (quantity and not measured and not undecided):
        search.say(f"no duel measures this quantity: it cannot be decided whether a commit {between} made it worse")
        return EXIT_INCONCLUSIVE
    made = f"{between} made anything slower, larger or less exact: {counts_text(chosen)}"
    if undecided:
        search.say("fewer cells (--only) get more launches in the same time, and so does a larger budget_seconds")
        search.say(f"it cannot be decided whether a commit {made}")
        return EXIT_INCONCLUSIVE
    search.say(f"no commit {made}")
    return 0


def _found(search: Search, left: list[str]) -> int:
    """Say which commit is the first bad one, or which ones it may be, and return the exit code. left: the
    candidates."""
    skipped = len(search.skipped)
    duels = many(search.duels, "duel") + (f", {many(skipped, 'commit')} skipped" if skipped else "")
    if len(left) > 1:
        for commit in left[:SHOWN]:
            search.say(name_and_subject(commit))
        more = f" ({SHOWN} of them are listed)" if len(left) > SHOWN else ""
        others = f"one of {len(left) - 1} that were skipped{more}" if len(left) > 2 else "the one that was skipped"
        search.say(f"the first bad commit is {short_name(search.bad)} or {others}: {duels}")
        return EXIT_INCONCLUSIVE
    row: Any = search.rows[search.bad]
    search.say(f"the first bad commit, by {quantity_name(row)}, against {short_name(search.good[0])}: {duels}")
    search.say(f"{name_and_subject(search.bad)}: {ratio_text(row)}")
    return EXIT_FAILED
