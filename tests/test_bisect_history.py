"""Which commit a bisection asks next, in histories of any shape, whole and cut; and that it changes nothing."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from harness.bisect.commits import next_to_try
from harness.bisect.search import Search
from harness.errors import UserError
from harness.vocabulary import EXIT_FAILED
from tests.bisected import Start, fought, planted
from tests.command_line import call, refused
from tests.scratch_history import Commit, git, make_history


def test_a_change_that_the_good_commit_has_undone_is_no_change_of_the_bad_one(start: Start) -> None:
    """Both leave the same commit, which is bad; git bisect asks for the place where they part as well."""
    faulty, mended = planted(error=3.0), Commit({"planted.json": "{}"}, parents=[0])
    names = start([faulty, mended, Commit({"other": "1"}, parents=[0])])
    with pytest.raises(UserError, match=f"{names[0][:8]}, where the two histories part, is bad already"):
        fought(names[1], names[2])


def test_a_good_commit_beside_the_history_of_the_bad_one_is_measured_against(start: Start) -> None:
    commits = [Commit(), Commit({"side": "1"}, parents=[0]), Commit({"other": "1"}, parents=[0])]
    names = start([*commits, planted(error=3.0), Commit({"other": "2"})])
    code, lines = fought(names[1])
    assert (code, lines[-1]) == (EXIT_FAILED, f"{names[3][:8]} Step 3: 1.500x (2 -> 3)")
    assert any(line.startswith(f"good  {names[0][:8]}") for line in lines)


def merged(rng: random.Random, size: int) -> list[Commit]:
    """A history with side branches: each commit follows one of the last, or merges two of them; the last one merges all
    that nothing follows."""
    commits, open_ends = [Commit()], {0}
    for number in range(1, size):
        recent = range(max(0, number - 6), number)
        parents = sorted(rng.sample(recent, k=min(len(recent), rng.choice([1, 1, 2]))), reverse=True)
        commits.append(Commit({f"file{number}": str(number)}, parents=parents))
        open_ends = (open_ends - {*parents}) | {number}
    return [*commits, Commit({"last": ""}, parents=sorted(open_ends, reverse=True))]


def ancestors(commits: Sequence[Commit], number: int) -> set[int]:
    """The places of a commit and of all before it."""
    found, left = set(), [number]
    while left:
        if (each := left.pop()) not in found:
            found.add(each)
            left += commits[each].parents or []
    return found


@pytest.mark.parametrize("seed", range(6))
def test_it_works_over_merges(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the history, whichever commit it is; some commits say nothing."""
    rng = random.Random(seed)
    commits = merged(rng, 40)
    names = make_history(tmp_path / "repository", commits)
    monkeypatch.chdir(tmp_path / "repository")
    last = len(commits) - 1
    culprit, mute = rng.randrange(1, last + 1), {names[each] for each in rng.sample(range(1, last), 4)}
    has_it = {names[number] for number in range(len(commits)) if culprit in ancestors(commits, number)}
    asked: list[str] = []

    def ask(search: Search, question: object, commit: str) -> bool | None:
        asked.append(commit)
        if commit in mute:
            search.skipped.add(commit)
            return None
        return commit in has_it

    monkeypatch.setattr(Search, "ask", ask)
    search = Search(cast(Any, None), Path(), print, cast(Any, None), [names[0]], names[last])
    left = search.narrow(cast(Any, None))
    assert names[culprit] in left
    assert {*left} <= mute | {names[culprit], search.bad}
    assert left == [names[culprit]] or {*left} & mute
    assert len(asked) == len({*asked}) < last


def test_a_bisection_of_the_person_is_neither_read_nor_changed(start: Start) -> None:
    """`git bisect` keeps refs of good and bad commits, which some of git's own calls take into account."""
    commits = [Commit({"other": str(number)}) for number in range(12)]
    commits[5] = planted(error=3.0)
    names = start(commits)
    here = Path.cwd()
    git(here, "bisect", "start", "HEAD~1", "HEAD~4")
    before = git(here, "for-each-ref"), git(here, "rev-parse", "HEAD"), git(here, "bisect", "log")
    code, lines = fought(names[0], names[-1])
    assert (code, lines[-1]) == (EXIT_FAILED, f"{names[5][:8]} Step 5: 1.500x (2 -> 3)")
    assert (git(here, "for-each-ref"), git(here, "rev-parse", "HEAD"), git(here, "bisect", "log")) == before
    assert git(here, "status", "--porcelain") == ""


def test_a_shallow_clone_says_what_to_fetch(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the good commit is missing, where it has been fetched alone, and, once all is there, that it works."""
    names = start([Commit(), planted(error=3.0), *(Commit({"other": str(number)}) for number in range(4))])
    origin = Path.cwd()
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "--quiet", "--depth=3", f"file://{origin}", "shallow")
    shutil.copytree(origin / "harness", tmp_path / "shallow" / "harness", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "shallow")
    missing = refused(call("bisect", "short", "--good", names[0]))
    assert re.search(r"no commit '\w+' here.*: this clone is shallow: `git fetch --unshallow`", missing)
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth=1", "origin", names[0])
    alone = refused(call("bisect", "short", "--good", names[0]))
    assert "have no commit in common: this clone is shallow: `git fetch --unshallow`" in alone
    git(tmp_path / "shallow", "fetch", "--quiet", "--unshallow")
    assert fought(names[0])[1][-1] == f"{names[1][:8]} Step 1: 1.500x (2 -> 3)"


def test_a_history_that_is_cut_on_one_side_of_a_merge_is_not_searched(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through one parent the good commit is reached, through the other the end of what is here."""
    chain = [Commit({"side": str(number)}) for number in range(6)]
    names = start([Commit(), *chain, Commit({"other": "1"}, parents=[0]), Commit({"other": "2"}, parents=[7, 6])])
    git(tmp_path, "clone", "--quiet", "--depth=3", f"file://{Path.cwd()}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    told = refused(call("bisect", "short", "--good", names[0]))
    assert re.search(r"history is cut at \w{8}, after the good commit: `git fetch --unshallow`", told)


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("HEAD", "HEAD~1", "is in the history of the good one, .*: exchange them"),
        ("HEAD", "HEAD", r"bisect: the good and the bad commit are the same, \w{8}$"),
        ("HEAD~9", "HEAD", "bisect: no commit 'HEAD~9' here"),
        ("HEAD~1", "no-such", "bisect: no commit 'no-such' here"),
        ("other", "HEAD", "have no commit in common"),
    ],
)
def test_what_is_no_good_and_bad_commit_is_one_line(start: Start, good: str, bad: str, words: str) -> None:
    start([Commit(), planted(error=3.0)])
    git(Path.cwd(), "branch", "other", git(Path.cwd(), "commit-tree", "HEAD^{tree}", "-m", "unrelated"))
    assert re.search(words, refused(call("bisect", "short", "--good", good, "--bad", bad)))


def test_a_commit_that_cannot_be_checked_out_is_skipped(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = [Commit({"other": str(number)}) for number in range(5)]
    commits[4] = planted(error=3.0)
    names = start(commits)
    blob = git(Path.cwd(), "rev-parse", f"{names[2]}:other")
    (Path.cwd() / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    code, lines = fought(names[0])
    assert any(line.startswith(f"skip  {names[2][:8]} Step 2: cannot check out") for line in lines), lines
    assert code == EXIT_FAILED


def test_the_next_commit_halves_what_is_left(start: Start) -> None:
    names = start([Commit({"other": str(number)}) for number in range(9)])
    middle, left = next_to_try(names[8], [names[0]], ())
    assert middle == names[4]
    assert {*left} == {*names[1:]}
    assert next_to_try(names[1], [names[0]], ()) == (None, [names[1]])
    assert next_to_try(names[2], [names[0]], {names[1]})[0] is None


def test_a_stretch_that_cannot_be_measured_is_left_after_few_tries(start: Start) -> None:
    """A third of the commits, in the middle of which the search begins."""
    names = start([Commit({"other": str(number)}) for number in range(65)])
    broken, culprit = {*names[22:44]}, 10
    good, bad, tried = [names[0]], names[64], 0
    skipped: set[str] = set()
    while True:
        commit, left = next_to_try(bad, good, skipped)
        if commit is None:
            break
        tried += 1
        if commit in broken:
            skipped.add(commit)
        elif names.index(commit) >= culprit:
            bad = commit
        else:
            good.append(commit)
    assert left == [names[culprit]]
    assert len(skipped) <= 3
    assert tried <= 11
