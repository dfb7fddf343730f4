"""A bisection in progress: what is known about the commits, and how the next one is tried."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.bisect.commits import name_and_subject, next_to_try
from harness.duel import Duel, Question, duel
from harness.duel.origin import Origin, at_commit
from harness.errors import CannotRun, UserError
from harness.planning.loading import Say
from harness.study.definition import Study
from harness.verdicts.wording import change_text, ratio_text, status_lines


@dataclass
class Search:
    """The state of a bisection.

    reference: the base of every duel. good: the commits known to be good, the one of `reference` first;
    bad: the earliest commit known to be bad; skipped: those that could not be decided. rows: commit -> the verdict of
    its duel on the quantity that the search follows.
    """

    study: Study
    results: Path
    say: Say
    reference: Origin
    good: list[str]
    bad: str
    skipped: set[str] = field(default_factory=set)
    rows: dict[str, Any] = field(default_factory=dict)
    duels: int = 0
    until_decided: float | None = None
    """Seconds that each duel may take, instead of the study's budget."""

    def narrow(self, question: Question) -> list[str]:
        """Try commits until none is left to try, and return those of which one must be the first bad one."""
        while True:
            commit, left = next_to_try(self.bad, self.good, self.skipped)
            if commit is None:
                return left
            answer = self.ask(question, commit)
            if answer:
                self.bad = commit
            elif answer is not None:
                self.good.append(commit)

    def ask(self, question: Question, commit: str) -> bool | None:
        """Whether a commit has the change; None, and the commit is skipped, if that cannot be decided."""
        try:
            fought = self.fight(commit, question.narrowed(self.study), question)
        except CannotRun as error:
            self._skip(commit, str(error).removeprefix("duel: "))
            return None
        row, answer = question.row(fought.verdicts), question.answer(fought.verdicts)
        if answer is None:
            self._skip(commit, _why_undecided(row, fought, question))
            return None
        self.rows[commit] = row
        figures = ratio_text(row) if row else "it has the cell"
        self.say(f"{'bad ' if answer else 'good'}  {name_and_subject(commit)}: {figures}")
        return answer

    def fight(self, commit: str, study: Study, question: Question | None = None) -> Duel:
        """Duel the reference with a commit. Raises CannotRun if the commit cannot be measured."""
        with ExitStack() as stack:
            try:
                head = stack.enter_context(at_commit(commit, methods=study.methods))
            except UserError as error:  # such a commit is skipped; a UserError of the duel ends the search
                raise CannotRun(str(error)) from None
            say = self.say if question is None else lambda _: None
            fought = duel(
                study,
                self.reference,
                self.results,
                None,
                say,
                head=head,
                question=question,
                until_decided=self.until_decided,
            )
        self.duels += 1
        return fought

    def _skip(self, commit: str, why: str) -> None:
        self.skipped.add(commit)
        self.say(f"skip  {name_and_subject(commit)}: {why}")


def _why_undecided(row: Any, fought: Duel, question: Question) -> str:
    """Why a duel did not decide whether a commit has the change."""
    if row is not None and row["verdict"] not in ("lost", "new"):
        return f"on neither side of half of the change: {ratio_text(row)}"
    cells = fought.head.cells
    for line in status_lines(cells[cells["method"] == question.change["method"]], 1):
        return line
    return change_text(row) if row is not None else "it does not have this quantity"
