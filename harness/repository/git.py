"""Every call of git. They read the repository of the current folder and change nothing in it.

A git hook runs with environment variables that name the repository, the index and the object store of the command it
belongs to. Another git that inherits them acts on the user's unfinished commit, wherever it is started. So no git and
no worker of the harness inherits them, and the harness never starts the user's hooks or file-system monitor.
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
        # `git rev-parse --local-env-vars` prints those above; the following also bind git to a repository.
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
"""Where git lies, which files configure it, and how far it looks for a repository: the only variables of git that the
harness's git inherits."""

HARMLESS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""Options with which git runs no hook of the user and starts no daemon that watches files."""


def unbound(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables that bind git to one repository: what a child process may inherit.

    GIT_CONFIG_KEY_0 and the like are removed too, since they mean nothing without GIT_CONFIG_COUNT.
    """
    pairs = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
    return {
        name: value
        for name, value in environment.items()
        if name not in NAMES_A_REPOSITORY and not name.startswith(pairs)
    }


def ask_git(*arguments: str, folder: Path | None = None) -> str:
    """The output of git in `folder` (default: the current one), without the last line break.

    Raises OSError if git is not installed, and CalledProcessError, with git's message in `stderr`, if it fails.
    """
    inherited = {name: value for name, value in os.environ.items() if _inherits(name)}
    done = subprocess.run(
        ["git", *HARMLESS, *arguments],
        cwd=folder,
        # No locks, so that `status` does not write the user's index; no prompt, which would wait for a password.
        env=inherited | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,  # inside a hook, standard input holds the refs that are pushed: leave it to the hook
        capture_output=True,
        text=True,
        errors="surrogateescape",  # the name of a folder need not be valid text
        check=True,
    )
    return done.stdout.removesuffix("\n")


def forget_repository() -> None:
    """Remove the variables that bind git to one repository from this process's environment.

    The command line does so once at its start, so that other processes it starts (by a study's script, or a cluster on
    this machine) do not inherit them either.
    """
    for name in os.environ.keys() - unbound(os.environ).keys():
        del os.environ[name]


def refusal(error: subprocess.CalledProcessError) -> str:
    """Why git failed, in one line: its first fatal message, else its first error, else its last line; '' without
    any."""
    lines = str(error.stderr).strip().splitlines()
    for kind in ("fatal: ", "error: "):
        for line in lines:
            if line.startswith(kind):
                return line.removeprefix(kind)
    return lines[-1] if lines else ""


def _inherits(name: str) -> bool:
    return not name.startswith("GIT_") or name in BELONGS_TO_THE_PERSON
