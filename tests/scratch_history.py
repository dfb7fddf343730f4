"""Histories of a scratch repository, made at once by `git fast-import`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NOBODY = "nobody <nobody@example.invalid>"


@dataclass(frozen=True)
class Commit:
    """A commit to be made: its files as they are changed, and the places of its parents in the history; by default it
    follows the one before."""

    files: Mapping[str, str] = field(default_factory=dict)
    parents: Sequence[int] | None = None
    subject: str = ""


def git(folder: Path, *arguments: str | Path, stdin: bytes | None = None) -> str:
    """What git prints in a folder, for somebody without a configuration of their own."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    outside |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    outside |= {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(["git", *arguments], cwd=folder, env=outside, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def make_history(folder: Path, commits: Sequence[Commit]) -> list[str]:
    """A new repository in a folder with these commits, the last checked out as the branch main; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    stream = b"".join(_lines(number, each) for number, each in enumerate(commits))
    marks = folder / ".git" / "marks"
    git(folder, "fast-import", "--quiet", f"--export-marks={marks}", stdin=stream)
    git(folder, "reset", "--quiet", "--hard", "main")
    named = dict(line.split() for line in marks.read_text(encoding="ascii").splitlines())
    return [named[f":{number + 1}"] for number in range(len(commits))]


def _lines(number: int, commit: Commit) -> bytes:
    """A commit as fast-import reads it; marks count from 1."""
    parents = commit.parents if commit.parents is not None else [number - 1] * (number > 0)
    subject = commit.subject or f"Step {number}"
    lines = ["commit refs/heads/main", f"mark :{number + 1}", f"committer {NOBODY} {1_700_000_000 + number} +0000"]
    lines.append(f"data {len(subject.encode())}\n{subject}")
    lines += [f"{'merge' if place else 'from'} :{parent + 1}" for place, parent in enumerate(parents)]
    lines += [f"M 100644 inline {name}\ndata {len(text.encode())}\n{text}" for name, text in commit.files.items()]
    return "\n".join([*lines, "", ""]).encode()
