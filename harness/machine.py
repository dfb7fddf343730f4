"""Where a run was measured: facts about this machine and the revision of the code, never a host name or a path."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from harness.repository.git import ask_git
from harness.vocabulary import RESULTS, SHIPPED

GIB = 2**30

CLUSTER = "cluster-"
"""Prefix of the slug of a cluster, and so of the name of its folder of results."""

PACKAGE = Path(__file__).parent
COMMIT_FILE = "commit.json"
"""A file that only a wheel has, in the package: the revision that the wheel was built from."""


@dataclass(frozen=True)
class Machine:
    """The facts that identify a kind of machine: two runs are compared only if all of them agree."""

    cpu: str
    """Its name as `name_of_cpu` builds it."""
    cores: int
    memory_gib: int
    os: str
    accelerator: str = ""

    @property
    def slug(self) -> str:
        """The name of its folder in results/."""
        words = [self.cpu, f"{self.cores} cores", f"{self.memory_gib} GiB", self.os, self.accelerator]
        return "_".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words if word)

    @property
    def facts(self) -> dict[str, Any]:
        return asdict(self) | {"slug": self.slug}


def this_machine(accelerator: str = "") -> Machine:
    """This machine. The caller, who may ask torch in a worker, gives the name of the accelerator."""
    import cpuinfo
    import psutil

    return Machine(
        cpu=name_of_cpu(cpuinfo.get_cpu_info()),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / GIB),
        os=platform.system(),
        accelerator=accelerator,
    )


def name_of_cpu(facts: Mapping[str, Any]) -> str:
    """The brand of a CPU with its family and model, if it has them; `facts` are those of `cpuinfo.get_cpu_info`.

    The brand alone does not tell two processors apart in a virtual machine: of an AMD EPYC, whatever its generation, a
    hypervisor may show no more than those two words.
    """
    brand = facts.get("brand_raw") or platform.machine()
    numbers = [f"{name} {facts[name]}" for name in ("family", "model") if name in facts]
    return " ".join([brand, *numbers])


NEW_CODE = (":/", f":(exclude){RESULTS}", ":(exclude,glob)**/__pycache__/**")
"""Pathspecs of the untracked files that make a working tree dirty. Results and Python's caches do not count: in a
repository without a .gitignore the first duel would otherwise make the commit of the second one dirty."""

DIRTY = "-dirty"
"""Suffix of the label of a commit whose working tree had changes that were not committed."""


@dataclass(frozen=True)
class Revision:
    """The commit of a working tree ('none' outside a repository), and whether the tree has uncommitted changes."""

    commit: str
    dirty: bool

    @property
    def label(self) -> str:
        return self.commit[:8] + (DIRTY if self.dirty else "")


UNKNOWN = Revision("none", dirty=False)


def measured_revision(outside: bool) -> Revision:
    """The revision of the code that a run measures.

    Usually that is the harness itself, which contains the methods. If methods come from `outside`, it is the repository
    around the current folder, if there is one: people measure their own package from within its repository.
    """
    here = this_revision() if outside else UNKNOWN
    return package_revision() if here == UNKNOWN else here


def package_revision() -> Revision:
    """The revision of the harness itself: the one that its wheel was built from, or the one of its clone.

    If the package is installed somewhere inside another repository (a .venv), git does not track its files, and the
    revision is UNKNOWN instead of a commit of that repository.
    """
    try:
        built = json.loads((PACKAGE / COMMIT_FILE).read_bytes())
        return Revision(str(built["commit"]), bool(built["dirty"]))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN
    try:
        ask_git("ls-files", "--error-unmatch", "__init__.py", folder=PACKAGE)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return this_revision(PACKAGE)


def this_revision(folder: Path | None = None) -> Revision:
    """The revision of the worktree around a folder (default: the current one), or UNKNOWN outside every repository."""
    try:
        commit = ask_git("rev-parse", "--verify", "HEAD", folder=folder)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    try:
        changed = ask_git("status", "--porcelain", "--untracked-files=no", folder=folder)
        added = ask_git("ls-files", "--others", "--exclude-standard", "--", *NEW_CODE, folder=folder)
    except (OSError, subprocess.CalledProcessError):  # a bare repository, which has no files that could be changed
        changed = added = ""
    return Revision(commit, bool(changed or added))


@cache
def code_digest() -> str:
    """First 12 hex digits of a SHA-256 over the paths and sources of the harness, which identify the measuring code.

    A clone and the wheel built from it have the same digest, because the studies, which only a wheel has inside the
    package, are left out.
    """
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.is_relative_to(SHIPPED):
            digest.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def utc_now() -> datetime:
    return datetime.now(UTC)
