"""A search in progress: what is known of the commits, and how one more is tried."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.bisect.commits import next_to_try, told_with_subject
from harness.duel import Duel, Question, duel
from harness.duel.origin import Origin, at_commit
from harness.errors import CannotRun, UserError
from harness.planning.loading import Say
from harness.study.definition import Study
from harness.verdicts.wording import change_text, ratio_text, status_lines


@dataclass
class Search:
    """good: the commits that are known to be good; the first is `reference`, the base of every duel. bad: the earliest
    that is known to be bad; rows: commit -> what its duel found of the quantity that is asked for."""

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
    """Seconds that each duel may take in place of the study's budget."""

    def narrow(self, question: Question) -> list[str]:
        """Try commits until none is left that could be tried; the commits of which one must be the first bad one."""
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
        """Whether a commit has the change; None where that cannot be told, and the commit is skipped."""
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
        self.say(f"{'bad ' if answer else 'good'}  {told_with_subject(commit)}: {figures}")
        return answer

    def fight(self, commit: str, study: Study, question: Question | None = None) -> Duel:
        """A duel of the good commit against another. Raises CannotRun where that one cannot be measured."""
        with ExitStack() as stack:
            try:
                head = stack.enter_context(at_commit(commit, methods=study.methods))
            except UserError as error:
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
        self.say(f"skip  {told_with_subject(commit)}: {why}")


def _why_undecided(row: Any, fought: Duel, question: Question) -> str:
    """Why a duel does not say whether a commit has the change."""
    if row is not None and row["verdict"] not in ("lost", "new"):
        return f"on neither side of half of the change: {ratio_text(row)}"
    cells = fought.head.cells
    for line in status_lines(cells[cells["method"] == question.change["method"]], 1):
        return line
    return change_text(row) if row is not None else "it does not have this quantity"
