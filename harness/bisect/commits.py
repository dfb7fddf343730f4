"""The commits between a good one and a bad one, as git lists them; nothing in the user's repository changes.

`git bisect` keeps its state in refs and moves the working tree. `git rev-list --bisect-all` chooses the next commit in
the same way, also across merges, and does neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.errors import UserError
from harness.machine import Revision
from harness.repository.checkout import FETCH_ALL, git, shallow_file

UNREADABLE = "the history cannot be read"

AWAY = (0.0, 0.25, 0.5, 0.125)
"""Which of the untried commits to take after 0, 1, 2 and 3 skips (then the shares repeat). The commits are sorted by
how well they halve the rest, and a share s of the list is passed over; in a linear history the next one then divides
the rest as (1 - s) to (1 + s)."""


def candidates(bad: str, good: Iterable[str]) -> list[str]:
    """The commits in the history of `bad` (which is one of them) but of none of `good`, the best at halving them
    first."""
    lines = git("rev-list", "--bisect-all", bad, "--not", *good, failing=UNREADABLE).splitlines()
    return [line.partition(" ")[0] for line in lines]


def next_to_try(bad: str, good: Iterable[str], skipped: Collection[str]) -> tuple[str | None, list[str]]:
    """The commit to try next, or None if none is left to try; and all commits that may still be the first bad one.

    The next commit is the one that halves the rest best; after a skip it is one farther from the middle, because
    neighbours of a commit that cannot be measured often cannot be measured either.
    """
    left = candidates(bad, good)
    untried = [commit for commit in left if commit != bad and commit not in skipped]
    away = len({*left} & {*skipped}) % len(AWAY)
    return (untried[int(AWAY[away] * len(untried))] if untried else None), left


def forks(good: str, bad: str) -> list[str]:
    """The commits at which the histories of `good` and `bad` part; none if `good` is an ancestor of `bad`.

    Raises UserError if the two histories have no commit in common, or if `bad` is `good` or an ancestor of it.
    """
    try:
        common = git("merge-base", "--all", good, bad, failing="no commit in common").splitlines()
    except UserError:
        why = f"{short_name(good)} and {short_name(bad)} have no commit in common"
        if shallow_file() is not None:
            why += f": this clone is shallow: `{FETCH_ALL}` fetches the rest of its history"
        raise UserError(why) from None
    if good == bad:
        raise UserError(f"the good and the bad commit are the same, {short_name(bad)}")
    if bad in common:
        names = f"the bad commit {short_name(bad)} is in the history of the good one, {short_name(good)}"
        raise UserError(f"{names}: exchange them")
    return [commit for commit in common if commit != good]


def refuse_cut(left: Iterable[str]) -> None:
    """Raise UserError if this is a shallow clone whose history ends at one of the commits that may be the first bad
    one, so that the commits before it are missing."""
    shallow = shallow_file()
    cut = set(shallow.read_text(encoding="ascii", errors="replace").split()) if shallow else set()
    for commit in left:
        if commit in cut:
            where = f"this clone is shallow, and its history is cut at {short_name(commit)}, after the good commit"
            raise UserError(f"{where}: `{FETCH_ALL}` fetches the rest")


def subject(commit: str) -> str:
    """The first line of a commit's message."""
    return git("show", "--no-patch", "--no-show-signature", "--format=%s", commit, failing=UNREADABLE)


def short_name(commit: str) -> str:
    """The abbreviated hash by which messages name a commit."""
    return Revision(commit, dirty=False).label


def name_and_subject(commit: str) -> str:
    """The abbreviated hash and the subject of a commit."""
    return f"{short_name(commit)} {subject(commit)}".rstrip()
