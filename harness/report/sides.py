"""Describes the two sides of a comparison by their run.json: commit, torch and Python."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from harness.machine import Revision

Info = Mapping[str, Any]

DIGESTED, BUILD_DIGITS = ("build", "packages"), 6
"""Facts that are too long for the name of a folder, and how many digits of their digest it has instead."""

LONGEST_VERSION = 40
"""The most characters of a version in the name of a folder: a worker may report a version of any length."""


def side_facts(info: Info) -> dict[str, Any]:
    """The facts that tell one side from the other: commit, dirty, torch, python, build (how that torch was compiled),
    and packages (version and digest of the code of each package with methods of the study), if there are any."""
    torch = info.get("torch", {})
    own = {name: str(torch.get(name, "unknown")) for name in ("torch", "python", "build")}
    packages = {"packages": text} if (text := _packages(torch.get("packages"))) else {}
    return {"commit": str(info.get("commit", "unknown")), "dirty": bool(info.get("dirty", False)), **own, **packages}


def side_labels(base: Info, head: Info) -> tuple[str, str]:
    """Short labels of base and head, such as '1a2b3c4d_torch-2.13.0', for the name of a folder.

    A label is the commit, followed by torch, Python, build or packages if the two sides differ in them.
    """
    one, two = side_facts(base), side_facts(head)
    same_version = one["torch"] == two["torch"]
    shown = [name for name in ("torch", "python") if one[name] != two[name]]
    if same_version and one["build"] != two["build"]:
        shown.append("build")
    if one["commit"] == two["commit"] and one.get("packages") != two.get("packages"):
        shown.append("packages")
    return _label(one, shown), _label(two, shown)


def sides_text(base: Info, head: Info) -> str:
    """One line: commit, torch and Python of the base and of the head."""
    return "; ".join(f"{name} {_text(side_facts(info))}" for name, info in (("base", base), ("head", head)))


def _label(facts: Mapping[str, Any], shown: list[str]) -> str:
    parts = [_revision(facts)]
    for name in shown:
        version = facts.get(name, "none")
        if name in DIGESTED:
            version = hashlib.sha256(version.encode()).hexdigest()[:BUILD_DIGITS]
        parts.append(f"{name}-{re.sub(r'[^A-Za-z0-9.+-]+', '-', version)[:LONGEST_VERSION]}")
    return "_".join(parts)


def _text(facts: Mapping[str, Any]) -> str:
    packages = f", {facts['packages']}" if "packages" in facts else ""
    return f"{_revision(facts)}, torch {facts['torch']}, Python {facts['python']}{packages}"


def _packages(versions: object) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, Mapping) else ""


def _revision(facts: Mapping[str, Any]) -> str:
    return Revision(facts["commit"], facts["dirty"]).label
