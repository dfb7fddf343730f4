"""The user's repository is the same after every verb: from a hook, a linked worktree, a submodule, wherever."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import harness.cli
from harness import doctor
from harness import duel as duels
from harness.duel.origin import base_origin
from harness.errors import UserError
from harness.machine import Revision, this_revision
from harness.repository.git import NAMES_A_REPOSITORY, ask_git, unbound
from harness.session.process import Worker
from harness.session.program import WORKER, has_worker
from tests.command_line import call
from tests.fake_worker import DRAWS, MACHINE, SMALL, FakeWorker, Reply, in_their_place, usual

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

FIRST, SECOND = "one\n", "one\ntwo\n"
"""README.md in the first and in the second commit."""

OF_A_COMMIT = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-index-change")
OF_REFS = ("reference-transaction", "post-checkout", "pre-merge-commit", "post-merge", "pre-rebase", "post-rewrite")
OF_A_PUSH = ("pre-push", "pre-receive", "update", "post-receive", "post-update")
HOOKS = (*OF_A_COMMIT, *OF_REFS, *OF_A_PUSH)

RECORDING = """#!{python}
import json, os, sys
name = os.path.basename(sys.argv[0])
mine = {{name: value for name, value in os.environ.items() if name.startswith("GIT_")}}
with open(os.path.join({folder!r}, name), "w") as file:
    json.dump({{"folder": os.getcwd(), "variables": mine}}, file)
"""


def git(folder: Path, *arguments: str | Path) -> str:
    """What git prints in a folder, for somebody without a configuration of their own and outside every hook."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | PERSON
    done = subprocess.run(["git", *arguments], cwd=folder, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def commit_all(folder: Path, text: str) -> None:
    (folder / "README.md").write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={len(text)} letters")


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def begun(folder: Path) -> Path:
    """A repository of two commits in a folder that may have files already."""
    git(folder.parent, "init", "--quiet", "--initial-branch=main", folder)
    (folder / "studies").mkdir(exist_ok=True)
    (folder / "studies" / "short.toml").write_text(STUDY, encoding="utf-8")
    (folder / ".gitignore").write_text("__pycache__\nresults\n", encoding="utf-8")
    if not has_worker(folder):  # of a harness of its own, in whose place stands a fake one
        executable((folder / Path(*WORKER.split("."))).with_suffix(".py"), "")
    for text in (FIRST, SECOND):
        commit_all(folder, text)
    return folder


def digest(world: Path) -> dict[str, tuple[int, int, str]]:
    """Every file and folder but results, those of git included -> mode, time of the last change in ns, content.

    That a lock file came and went shows in the time of its folder.
    """
    found = {}
    for path in [world, *world.rglob("*")]:
        if {"results", "temporary"} & set(path.relative_to(world).parts):
            continue
        state = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(world))] = (state.st_mode, state.st_mtime_ns, content)
    return found


@dataclass
class World:
    """What a person has: a repository, a bare one beside it, and what a test adds; and where they stand in it.

    dirty: whether it has changes; revision: what they duel with, and `readme`, its README.md.
    """

    home: Path
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    dirty: bool = False
    revision: str = "HEAD~1"
    readme: str = FIRST

    @property
    def repository(self) -> Path:
        return self.home / "repository"

    @property
    def trap(self) -> Path:
        """What a hook, a monitor or a filter of the person writes when somebody runs it."""
        return self.home / "sprung"

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int, str]]:
        """Stand in the folder with the variables, and return the digest of before."""
        for name in [each for each in os.environ if each.startswith("GIT_")]:
            monkeypatch.delenv(name)
        for name, value in (PERSON | self.variables).items():
            monkeypatch.setenv(name, value)
        temporary = self.home / "temporary"
        temporary.mkdir(exist_ok=True)
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.chdir(self.folder)
        return digest(self.home)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of two commits, and a bare one beside it that it pushes to."""
    home = tmp_path_factory.mktemp("prepared")
    begun(home / "repository")
    git(home, "clone", "--quiet", "--bare", "repository", "bare.git")
    git(home / "repository", "remote", "add", "origin", home / "bare.git")
    return home


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> World:
    """A copy, of which the index knows no file's time any more: a plain `git status` would write a new one."""
    home = Path(shutil.copytree(prepared, tmp_path / "world"))
    (home / "repository" / "results").mkdir()
    git(home / "repository", "remote", "set-url", "origin", home / "bare.git")
    return World(home, home / "repository")


def recorded_hooks(folder: Path, bare: Path, records: Path) -> None:
    """Have git run every hook of HOOKS, each of which records where it is run and with which variables."""
    script = RECORDING.format(python=sys.executable, folder=str(records))
    for hooks in (folder / ".git" / "hooks", bare / "hooks"):
        for name in HOOKS:
            executable(hooks / name, script)
    commit_all(folder, "recorded\n")
    git(folder, "branch", "other", "HEAD~1")
    git(folder, "checkout", "--quiet", "other")
    (folder / "other.txt").write_text("other\n", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=other")
    git(folder, "merge", "--quiet", "--no-edit", "main")
    git(folder, "reset", "--quiet", "--hard", "HEAD~1")
    git(folder, "rebase", "--quiet", "main")
    git(folder, "push", "--quiet", "origin", "other")
    (folder / "README.md").write_text("last\n", encoding="utf-8")
    git(folder, "commit", "--quiet", "--all", "--message=last")  # the variables of `commit --all` are what is kept


@pytest.fixture(scope="module")
def hooks(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """hook -> the variables that git gives it, in a repository `repository` and for its linked worktree."""
    home = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("hooks") / "world"))
    git(home / "repository", "remote", "set-url", "origin", home / "bare.git")
    records = home / "records"
    records.mkdir()
    recorded_hooks(home / "repository", home / "bare.git", records)
    told = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in records.iterdir()}
    return {
        name: {key: value.replace(str(home), "{home}") for key, value in each["variables"].items()}
        for name, each in told.items()
    }


def harmless(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask what a run and a duel ask of git, hold the answers to what git says outside, and the world to what it was."""
    head, base_commit = git(world.folder, "rev-parse", "HEAD", world.revision).splitlines()
    inside = git(world.folder, "rev-parse", "--show-prefix")
    before = world.enter(monkeypatch)
    assert this_revision() == Revision(head, world.dirty)
    with base_origin(world.revision, None) as base:
        assert base.revision == Revision(base_commit, dirty=False)
        top = next(path for path in (base.folder, *base.folder.parents) if (path / ".git").exists())
        assert base.folder == top / inside
        assert base.folder.is_dir()
        assert (top / "README.md").read_text(encoding="utf-8") == world.readme
        assert not list((top / ".git").glob("hooks/*"))
        assert digest(world.home) == before  # so whoever is killed here leaves a folder in the temporary one, no more
    assert digest(world.home) == before
    assert not world.trap.exists()
    assert list((world.home / "temporary").iterdir()) == []


@pytest.mark.parametrize("hook", HOOKS)
def test_inside_a_hook(
    hook: str, hooks: Mapping[str, Mapping[str, str]], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hook in hooks, "git has not run it"
    world.variables = {name: value.format(home=world.home) for name, value in hooks[hook].items()}
    index = world.repository / world.variables.get("GIT_INDEX_FILE", ".git/index")
    if not index.exists():  # of a commit that has been made since
        shutil.copyfile(world.repository / ".git" / "index", index)
    harmless(world, monkeypatch)


def linked(world: World) -> None:
    """A linked worktree, detached, inside the hook of a commit."""
    world.folder = world.home / "linked"
    git(world.repository, "worktree", "add", "--quiet", "--detach", world.folder)
    own = world.repository / ".git" / "worktrees" / "linked"
    world.variables |= {"GIT_DIR": str(own), "GIT_INDEX_FILE": str(own / "index"), "GIT_PREFIX": ""}


def moved(world: World) -> None:
    """A worktree was moved by hand: `git worktree prune` would forget it, with its index."""
    git(world.repository, "worktree", "add", "--quiet", "--detach", world.home / "linked")
    (world.home / "linked").rename(world.home / "elsewhere")


def detached(world: World) -> None:
    git(world.repository, "checkout", "--quiet", "--detach")


def unreachable(world: World) -> None:
    """No branch leads to the commit."""
    off_every_branch(world)


def off_every_branch(world: World) -> None:
    git(world.folder, "checkout", "--quiet", "--detach")
    world.readme = "three\n"
    commit_all(world.folder, world.readme)
    world.revision = git(world.folder, "rev-parse", "HEAD")
    git(world.folder, "checkout", "--quiet", "main")


def packed(world: World) -> None:
    git(world.repository, "pack-refs", "--all")
    git(world.repository, "gc", "--quiet")


def stashed(world: World) -> None:
    (world.repository / "README.md").write_text("stashed\n", encoding="utf-8")
    git(world.repository, "stash")


def changed(world: World) -> None:
    """Staged, not staged, and not known to git."""
    for name in ("README.md", ".gitignore", "new.txt"):
        with (world.repository / name).open("a", encoding="utf-8") as file:
            file.write("more\n")
        if name == "README.md":
            git(world.repository, "add", name)
    world.dirty = True


def subfolder(world: World) -> None:
    world.folder = world.repository / "studies"


def submodule(world: World) -> None:
    git(world.repository, "-c", "protocol.file.allow=always", "submodule", "add", world.home / "bare.git", "inner")
    git(world.repository, "commit", "--quiet", "--message=inner")
    world.folder = world.repository / "inner"


def above_a_submodule(world: World) -> None:
    submodule(world)
    world.folder = world.repository
    world.readme = SECOND


def shallow(world: World) -> None:
    """A shallow clone, which git copies where it would share, without what no branch leads to."""
    world.folder = world.home / "shallow"
    git(world.home, "clone", "--quiet", "--depth=1", f"file://{world.home}/bare.git", world.folder)
    off_every_branch(world)


def partial(world: World) -> None:
    """A clone that has no content of an old file: what the base needs of it goes to the base."""
    git(world.home / "bare.git", "config", "uploadpack.allowFilter", "true")
    world.folder = world.home / "partial"
    git(world.home, "clone", "--quiet", "--filter=blob:none", f"file://{world.home}/bare.git", world.folder)


def sparse(world: World) -> None:
    git(world.repository, "status")  # what it does not know to be as committed it would leave there
    git(world.repository, "sparse-checkout", "set", "--no-cone", "/studies/", "/.gitignore")
    assert not (world.repository / "README.md").exists()


def hooked(world: World) -> None:
    """Hooks that write, in the repository and where the configuration of the person says."""
    trap = f"#!/bin/sh\necho sprung >> '{world.trap}'\n"
    for name in HOOKS:
        executable(world.repository / ".git" / "hooks" / name, trap)
        executable(world.home / "template" / "hooks" / name, trap)
    executable(world.home / "monitor", trap)
    configuration = world.home / "gitconfig"
    configuration.write_text(
        f"[core]\nhooksPath = {world.home}/template/hooks\nfsmonitor = {world.home}/monitor\n"
        f"[init]\ntemplateDir = {world.home}/template\n[clone]\nrejectShallow = true\n[submodule]\nrecurse = true\n"
        "[status]\nshowUntrackedFiles = no\n[core]\nquotePath = false\nautocrlf = input\nuntrackedCache = true\n",
        encoding="utf-8",
    )
    world.variables |= {"GIT_CONFIG_GLOBAL": str(configuration), "GIT_TEMPLATE_DIR": f"{world.home}/template"}


def guarded(world: World) -> None:
    """The person's settings refuse to clone a shallow repository, and any from a folder."""
    shallow(world)
    configuration = world.home / "gitconfig"
    configuration.write_text('[clone]\nrejectShallow = true\n[protocol "file"]\nallow = never\n', encoding="utf-8")
    world.variables |= {"GIT_CONFIG_GLOBAL": str(configuration)}


def monitored(world: World) -> None:
    """The daemon of git that watches files would be started by a status."""
    git(world.repository, "config", "core.fsmonitor", "true")
    git(world.repository, "config", "core.untrackedCache", "true")


def untracked_unseen(world: World) -> None:
    git(world.repository, "config", "status.showUntrackedFiles", "no")
    (world.repository / "new.py").write_text("new\n", encoding="utf-8")
    world.dirty = True


def odd_name(world: World) -> None:
    world.home = world.home.rename(world.home.with_name("a 'world' of \u00fcmlauts"))
    world.folder = world.repository


SITUATIONS: tuple[Callable[[World], None], ...] = (
    *(linked, moved, detached, unreachable, packed, stashed, changed, subfolder, submodule, above_a_submodule),
    *(shallow, partial, sparse, hooked, guarded, monitored, untracked_unseen, odd_name),
)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.__name__)
def test_wherever_the_person_stands(
    situation: Callable[[World], None], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    situation(world)
    harmless(world, monkeypatch)


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "{home}/bare.git"},
        {"GIT_DIR": "{home}/bare.git", "GIT_WORK_TREE": "{home}/repository"},
        {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_PREFIX": "", "GIT_EDITOR": ":"},
        {"GIT_INDEX_FILE": "{home}/no/such/index"},
        {"GIT_WORK_TREE": "{home}"},
        {"GIT_COMMON_DIR": "{home}/bare.git"},
        {"GIT_OBJECT_DIRECTORY": "{home}/bare.git/objects"},
        {"GIT_OBJECT_DIRECTORY": "{home}/none", "GIT_QUARANTINE_PATH": "{home}/none"},
        {"GIT_ALTERNATE_OBJECT_DIRECTORIES": "{home}/none"},
        {"GIT_NAMESPACE": "other"},
        {"GIT_SHALLOW_FILE": "{home}/none"},
        {"GIT_CONFIG_PARAMETERS": "'core.bare'='true'"},
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.worktree", "GIT_CONFIG_VALUE_0": "{home}"},
        {"GIT_CEILING_DIRECTORIES": "{home}"},
        {"GIT_TRACE": "1", "GIT_TRACE_SETUP": "{home}/sprung", "GIT_TRACE2_EVENT": "{home}/sprung"},
        {"GIT_OPTIONAL_LOCKS": "1", "GIT_LITERAL_PATHSPECS": "1", "GIT_REFLOG_ACTION": "commit"},
        {"GIT_DEFAULT_HASH": "sha256"},
        {"GIT_ALLOW_PROTOCOL": "none"},
        {"GIT_EXTERNAL_DIFF": "{home}/none", "GIT_PAGER": "{home}/none", "GIT_ASKPASS": "{home}/none"},
    ],
    ids=lambda each: "+".join(each),
)
def test_whatever_a_variable_of_git_says(
    variables: dict[str, str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.variables = {name: value.format(home=world.home) for name, value in variables.items()}
    harmless(world, monkeypatch)


@pytest.mark.parametrize("revision", ["HEAD~9", "--all", "-h", "", "HEAD:README.md", "main..main", "a b", "\u00fc"])
def test_what_is_no_commit_is_one_line(revision: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.enter(monkeypatch)
    with pytest.raises(UserError, match=r"^duel: no commit '.*' here") as caught, base_origin(revision, None):
        pass
    assert "\n" not in str(caught.value)
    assert digest(world.home) == before


def test_outside_a_repository_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, tmp_path, {"GIT_DIR": str(ROOT / ".git"), "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    world.enter(monkeypatch)
    assert this_revision() == Revision("none", dirty=False)
    with pytest.raises(UserError, match="no commit 'HEAD' here: not a git repository"), base_origin("HEAD", None):
        pass


def test_a_repository_of_somebody_else_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git trusts no repository of another owner; the wrapper makes it think that this is one."""
    real = shutil.which("git")
    executable(world.home / "bin" / "git", f"#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec '{real}' \"$@\"\n")
    before = world.enter(monkeypatch)
    monkeypatch.setenv("PATH", f"{world.home / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert this_revision() == Revision("none", dirty=False)
    with pytest.raises(UserError, match=r"dubious ownership in repository at '.*'$"), base_origin("HEAD", None):
        pass
    assert digest(world.home) == before


def test_without_git_there_is_no_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.enter(monkeypatch)
    monkeypatch.setenv("PATH", str(world.home))
    assert this_revision() == Revision("none", dirty=False)
    with pytest.raises(UserError, match=r"^duel: git: No such file or directory$"), base_origin("HEAD", None):
        pass


def test_content_that_cannot_be_had_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partial clone whose remote has gone."""
    partial(world)
    git(world.folder, "config", "remote.origin.url", world.home / "gone.git")
    before = world.enter(monkeypatch)
    with pytest.raises(UserError, match=r"^duel: cannot check out 'HEAD~1': ") as caught, base_origin("HEAD~1", None):
        pass
    assert "\n" not in str(caught.value)
    assert digest(world.home) == before


def test_content_that_is_lost_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git ends with 0 where it cannot read what it should write: a base must not lack a file in silence."""
    blob = git(world.repository, "rev-parse", "HEAD~1:README.md")
    (world.repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    world.enter(monkeypatch)
    with pytest.raises(UserError, match=r"lacks the content of README\.md$"), base_origin("HEAD~1", None):
        pass


def test_every_variable_that_git_calls_local_is_known(world: World) -> None:
    told = set(git(world.repository, "rev-parse", "--local-env-vars").split())
    assert told <= NAMES_A_REPOSITORY


def test_a_process_of_ours_keeps_what_binds_git_to_no_repository() -> None:
    kept = {"PATH": "x", "GIT_SSH_COMMAND": "ssh -i key", "GIT_PYTHON_REFRESH": "quiet", "GITHUB_SHA": "1"}
    bound = dict.fromkeys((*NAMES_A_REPOSITORY, "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_10"), "x")
    assert unbound(kept | bound) == kept


def test_the_command_line_forgets_the_repository_of_a_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a study's script starts in this very process would inherit it."""
    monkeypatch.setenv("GIT_INDEX_FILE", "x")
    monkeypatch.setattr(sys, "argv", ["harness", "--help"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        harness.cli.main()
    assert "GIT_INDEX_FILE" not in os.environ


def test_a_worker_inherits_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "x")
    monkeypatch.setenv("GIT_INDEX_FILE", "x")
    printing = tmp_path / "printing"
    executable(printing, f"#!/bin/sh\nenv > '{tmp_path}/said'\n")
    with pytest.raises(UserError), Worker.spawn(interpreter=str(printing)) as worker:
        worker.greet()
    names = {line.partition("=")[0] for line in (tmp_path / "said").read_text(encoding="utf-8").splitlines()}
    assert {"GIT_DIR", "GIT_INDEX_FILE"}.isdisjoint(names)
    assert "PATH" in names


def test_git_is_asked_in_one_place() -> None:
    """Whatever else calls git would have to be as careful."""
    for path in (ROOT / "harness").rglob("*.py"):
        calls = [each for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(each, ast.List)]
        first = [each.elts[0] for each in calls if each.elts]
        asks = any(isinstance(each, ast.Constant) and each.value == "git" for each in first)
        assert asks == (path.name == "git.py"), path


VERBS = {
    "plan": ["small"],
    "list": ["--schema"],
    "new": ["results/fresh.toml"],
    "run": ["small", "--plot"],
    "doctor": [],
    "plot": ["small"],
    "keep": ["small"],
    "compare": ["small", "small"],
    "duel": ["small", "--base-rev", "HEAD~1"],
    "bisect": ["small", "--good", "HEAD~2"],
    "report": ["small"],
    "export": ["small", "--to", "markdown"],
    "history": ["--machine", MACHINE.slug],
}
"""Every verb with words that make it do its work, in an order in which each finds what it needs."""


def test_no_verb_changes_the_repository(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a linked worktree, with the variables of a commit's hook, and hooks of the person that would write."""
    assert set(VERBS) == set(harness.cli.cli.commands), "a verb that this test does not try"
    (world.repository / "studies" / "small.toml").write_text(SMALL, encoding="utf-8")
    (world.repository / "studies" / "small.py").write_text(DRAWS, encoding="utf-8")
    commit_all(world.repository, "three\n")
    linked(world)
    hooked(world)
    world.variables["GIT_EDITOR"] = ":"
    (world.folder / "results").mkdir()
    in_their_place(monkeypatch, worker_of_a_duel)
    monkeypatch.setattr(duels, "this_machine", lambda accelerator="": MACHINE)
    monkeypatch.setattr("harness.duel.sets.LOOKS", (2,))
    monkeypatch.setattr(doctor, "examine", lambda: iter(()))
    monkeypatch.setattr("harness.session.runs.measured_revision", lambda outside: this_revision())
    before = world.enter(monkeypatch)
    for verb, words in VERBS.items():
        result = call(verb, *words)
        assert result.exit_code in (0, 1, 3), (verb, result.output)
        assert digest(world.home) == before, verb
        if verb == "bisect":  # which has checked out a commit between the two
            assert result.stdout.splitlines()[-1].endswith(f"{len(SECOND)} letters: 10.000x (8000 -> 8e+04)")
    assert not world.trap.exists()
    assert list(world.folder.glob("results/*/small/reference/run.json"))
    assert list(world.folder.glob("results/*/small/*_vs_*/verdicts.csv"))


def test_a_duel_of_a_suite_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real workers, in a linked worktree with changes and hooks that would write; pytest and its plugins leave nothing
    beside the tests either."""
    module = world.repository / "weighed.py"
    for text in ("", "\n"):
        module.write_text(f"def total(numbers):\n    return sum(numbers)\n{text}", encoding="utf-8")
        commit_all(world.repository, f"four{text}\n")
    linked(world)
    hooked(world)
    (world.folder / "bench").mkdir()
    test = "from weighed import total\n\n\ndef test_total(benchmark):\n    assert benchmark(total, [1, 2]) == 3\n"
    (world.folder / "bench" / "test_total.py").write_text(test, encoding="utf-8")  # it is not known to git
    (world.folder / "results").mkdir()
    monkeypatch.setattr("harness.duel.sets.LOOKS", (1,))
    before = world.enter(monkeypatch)
    result = call("duel", "--pytest", "bench", "--base-rev", "HEAD~1", "--strict")
    assert result.exit_code == 3, result.output
    assert digest(world.home) == before
    assert not world.trap.exists()
    assert list((world.home / "temporary").iterdir()) == []


def worker_of_a_duel() -> FakeWorker:
    """A worker whose methods need more memory from the second commit on."""

    def answer(request: Reply) -> Reply | None:
        if worker.folder is None or "memory" not in request.get("measure", ()):
            return None
        is_first = (worker.folder / "README.md").read_text(encoding="utf-8") == FIRST
        return usual(request) | {"memory": [["forward", 8, 8000.0 if is_first else 80000.0]]}

    worker = FakeWorker(answer)
    worker.greeting["methods"] = ["native", "gather"]
    return worker


def test_a_duel_inside_a_hook_leaves_the_commit_alone(tmp_path: Path) -> None:
    """The commit that a duel in its hook could see is the one that is made where there is no hook."""
    repository = tmp_path / "repository"
    shutil.copytree(ROOT / "harness", repository / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    begun(repository)
    quiet = Path(shutil.copytree(repository, tmp_path / "quiet"))
    said = tmp_path / "said"
    duel = f"'{sys.executable}' -m harness duel short --base-rev HEAD~1"
    executable(
        repository / ".git" / "hooks" / "pre-commit", f"#!/bin/sh\n{duel} > '{said}' 2>&1\necho $? >> '{said}'\n"
    )
    for folder in (repository, quiet):
        with (folder / "README.md").open("a", encoding="utf-8") as readme:
            readme.write("three\n")
        git(folder, "commit", "--all", "--quiet", "--message=three")
    assert said.read_text(encoding="utf-8").splitlines()[-1] == "0", said.read_text(encoding="utf-8")
    assert list(repository.glob("results/*/short/*/verdicts.csv"))
    for question in (("rev-parse", "HEAD"), ("ls-files", "--stage"), ("status", "--porcelain"), ("for-each-ref",)):
        assert git(repository, *question) == git(quiet, *question)
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "worktree", "list").count("\n") == 0


def test_git_reads_nothing_of_what_a_hook_is_given(tmp_path: Path) -> None:
    """The standard input of a hook holds the refs that are pushed, and the hook may read them after us."""
    read, write = os.pipe()
    os.write(write, b"refs")
    os.close(write)
    before = os.dup(0)
    os.dup2(read, 0)
    try:
        of_nothing = ask_git("hash-object", "--stdin", folder=tmp_path)
        assert os.read(0, 9) == b"refs"
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(read)
    assert of_nothing == hashlib.sha1(b"blob 0\0").hexdigest()
