"""Every call of git: it reads the repository of the current folder, and changes nothing in it.

A git hook runs with variables that name the repository, the index and the object store of the command it belongs to.
A git that inherits them acts on the user's unfinished commit, wherever it is started. So no git and no worker of ours
inherits them, and no hook and no file-system monitor of the user is started on our account.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

NAMES_A_REPOSITORY = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
        # `git rev-parse --local-env-vars` prints the ones above; these bind a git to a repository as well.
        "GIT_ATTR_SOURCE",
        "GIT_NAMESPACE",
        "GIT_QUARANTINE_PATH",
    }
)

BELONGS_TO_THE_PERSON = frozenset(
    {
        "GIT_CEILING_DIRECTORIES",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
        "GIT_EXEC_PATH",
    }
)
"""Where git itself lies, which files configure it, and how far it looks for a repository: all that our git inherits."""

HARMLESS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""No hook of the user runs, and no daemon that watches the files is started."""


def unbound(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables that bind a git to one repository: what a process of ours may inherit.

    GIT_CONFIG_KEY_0 and the like mean nothing without GIT_CONFIG_COUNT, and go with it.
    """
    pairs = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
    return {
        name: value
        for name, value in environment.items()
        if name not in NAMES_A_REPOSITORY and not name.startswith(pairs)
    }


def ask_git(*arguments: str, folder: Path | None = None) -> str:
    """What git prints, without the last line break, when it is asked in `folder` (default: the current one).

    Raises OSError where there is no git, and CalledProcessError, with git's message in `stderr`, where it refuses.
    """
    inherited = {name: value for name, value in os.environ.items() if _inherits(name)}
    done = subprocess.run(
        ["git", *HARMLESS, *arguments],
        cwd=folder,
        env=inherited | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,  # a hook's standard input tells the hook which refs are pushed
        capture_output=True,
        text=True,
        errors="surrogateescape",  # a folder's name may be no text
        check=True,
    )
    return done.stdout.removesuffix("\n")


def forget_repository() -> None:
    """Take the variables that bind a git to one repository out of this process's environment.

    The command line does so once: what it starts besides git and workers (a study's script, a cluster on this machine)
    inherits none of them either.
    """
    for name in os.environ.keys() - unbound(os.environ).keys():
        del os.environ[name]


def refusal(error: subprocess.CalledProcessError) -> str:
    """Why git refused, in one line: the first that it calls fatal or an error, else its last; '' where it is silent."""
    lines = str(error.stderr).strip().splitlines()
    for kind in ("fatal: ", "error: "):
        for line in lines:
            if line.startswith(kind):
                return line.removeprefix(kind)
    return lines[-1] if lines else ""


def _inherits(name: str) -> bool:
    return not name.startswith("GIT_") or name in BELONGS_TO_THE_PERSON
