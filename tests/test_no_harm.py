"""The user's repository is the same after every verb: from a hook, a linked worktree, a submodule, wherever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STUDY = """
title = "Short"
methods = ["native"]
phases = ["forward"]
[axes]
n = 64
k = 4
[timing]
block_seconds = 0.0001
rounds = 2
launches = 2
budget_seconds = 1
"""
PERSON = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")},
}
"""Who commits, and when: the same commit has the same name wherever it is made."""


def git(folder: Path, *arguments: str | Path, environment: Mapping[str, str] = os.environ) -> str:
    """What git prints in a folder, for somebody without a configuration of their own."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**environment, **PERSON}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits of a checkout that has a harness and a study; the second adds a line to README.md."""
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "studies").mkdir()
    (folder / "studies" / "short.toml").write_text(STUDY, encoding="utf-8")
    (folder / ".gitignore").write_text("__pycache__\nresults\n", encoding="utf-8")
    git(folder.parent, "init", "--quiet", "--initial-branch=main", folder)
    for text in ("one\n", "one\ntwo\n"):
        (folder / "README.md").write_text(text, encoding="utf-8")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", f"--message={len(text)} letters")
    return folder


def test_a_duel_inside_a_hook_leaves_the_commit_alone(repository: Path, tmp_path: Path) -> None:
    """The commit that a duel in its hook could see is the one that is made where there is no hook."""
    quiet = Path(shutil.copytree(repository, tmp_path / "quiet"))
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    said = tmp_path / "said"
    duel = f"'{sys.executable}' -m harness duel short --base-rev HEAD~1"
    hook.write_text(f"#!/bin/sh\n{duel} > '{said}' 2>&1\necho $? >> '{said}'\n", encoding="utf-8")
    hook.chmod(0o755)
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for folder in (repository, quiet):
        with (folder / "README.md").open("a", encoding="utf-8") as readme:
            readme.write("three\n")
        git(folder, "commit", "--all", "--quiet", "--message=three", environment=alone)
    assert said.read_text(encoding="utf-8").splitlines()[-1] == "0", said.read_text(encoding="utf-8")
    assert list(repository.glob("results/*/short/*/verdicts.csv"))
    for question in (("rev-parse", "HEAD"), ("ls-files", "--stage"), ("status", "--porcelain"), ("for-each-ref",)):
        assert git(repository, *question) == git(quiet, *question)
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "worktree", "list").count("\n") == 0
