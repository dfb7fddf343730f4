"""What git knows of the commits between a good one and a bad one. It is only asked; nothing of the user's changes.

`git bisect` keeps its state in refs and moves the working tree. Its choice of the next commit, which works over merges,
can be had without either: `git rev-list --bisect-all`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.errors import UserError
from harness.machine import Revision
from harness.repository.checkout import FETCH_ALL, git, shallow_file

UNREADABLE = "the history cannot be read"

AWAY = (0.0, 0.25, 0.5, 0.125)
"""The untried commits are sorted by how well they halve the rest: how far down that list to go, as a share of it, after
0, 1, 2 and 3 skips, then again from the first. In a line of commits the one at a share s divides what is left as
(1 - s) to (1 + s)."""


def candidates(bad: str, good: Iterable[str]) -> list[str]:
    """The commits that `bad` has and none of `good` has, those first that halve them best; `bad` is one of them."""
    lines = git("rev-list", "--bisect-all", bad, "--not", *good, failing=UNREADABLE).splitlines()
    return [line.partition(" ")[0] for line in lines]


def next_to_try(bad: str, good: Iterable[str], skipped: Collection[str]) -> tuple[str | None, list[str]]:
    """The commit to try next, or None where none is left that could be tried; and all commits that are left, each of
    which may be the first bad one.

    It is the one that halves best what is left. After a skip it is one farther from the middle, since commits that
    cannot be measured tend to be neighbours.
    """
    left = candidates(bad, good)
    untried = [each for each in left if each != bad and each not in skipped]
    away = len({*left} & {*skipped}) % len(AWAY)
    return (untried[int(AWAY[away] * len(untried))] if untried else None), left


def forks(good: str, bad: str) -> list[str]:
    """The commits at which the history of `bad` left that of `good`; none where it has all of it.

    Raises UserError where the two have nothing in common, or `good` has all of `bad`.
    """
    try:
        found = git("merge-base", "--all", good, bad, failing="no commit in common").splitlines()
    except UserError:
        why = f"{told(good)} and {told(bad)} have no commit in common"
        if shallow_file() is not None:
            why += f": this clone is shallow: `{FETCH_ALL}` fetches the rest of its history"
        raise UserError(why) from None
    if bad in found:
        raise UserError(f"the bad commit {told(bad)} is in the history of the good one, {told(good)}: exchange them")
    return [each for each in found if each != good]


def refuse_cut(left: Iterable[str]) -> None:
    """Raise UserError where the history of a shallow clone is cut at one of the commits that may be the first bad one:
    what lies before it is not here."""
    shallow = shallow_file()
    cut = set(shallow.read_text(encoding="ascii", errors="replace").split()) if shallow else set()
    for commit in left:
        if commit in cut:
            where = f"this clone is shallow, and its history is cut at {told(commit)}, after the good commit"
            raise UserError(f"{where}: `{FETCH_ALL}` fetches the rest")


def subject(commit: str) -> str:
    """The first line of its message."""
    return git("show", "--no-patch", "--no-show-signature", "--format=%s", commit, failing=UNREADABLE)


def told(commit: str) -> str:
    """A commit as every message names it."""
    return Revision(commit, dirty=False).label


def told_with_subject(commit: str) -> str:
    """The same, with its subject."""
    return f"{told(commit)} {subject(commit)}".rstrip()
