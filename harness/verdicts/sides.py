"""The two sides of a comparison in words: the commit, the torch and the Python of each, from their run.json."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from harness.machine import Revision

Info = Mapping[str, Any]

DIGESTED, BUILD_DIGITS = ("build", "packages"), 6
"""Facts that are too long for the name of a folder, and how many digits of their digest stand there."""

LONGEST_VERSION = 40
"""Characters of a version in the name of a folder; what a worker says of itself may be of any length."""


def side_facts(info: Info) -> dict[str, Any]:
    """What tells one side from the other: commit, dirty, torch, python, build (how that torch was compiled), and
    packages (the version and the code of each that has methods of the study) where there are any."""
    torch = info.get("torch", {})
    own = {name: str(torch.get(name, "unknown")) for name in ("torch", "python", "build")}
    packages = {"packages": told} if (told := _packages(torch.get("packages"))) else {}
    return {"commit": str(info.get("commit", "unknown")), "dirty": bool(info.get("dirty", False)), **own, **packages}


def side_labels(base: Info, head: Info) -> tuple[str, str]:
    """A short label of the base and one of the head, such as '1a2b3c4d_torch-2.13.0': each begins with its commit, and
    has its torch and its Python where the two sides differ in them. It can be part of a folder's name."""
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
    told = [_revision(facts)]
    for name in shown:
        version = facts.get(name, "none")
        if name in DIGESTED:
            version = hashlib.sha256(version.encode()).hexdigest()[:BUILD_DIGITS]
        told.append(f"{name}-{re.sub(r'[^A-Za-z0-9.+-]+', '-', version)[:LONGEST_VERSION]}")
    return "_".join(told)


def _text(facts: Mapping[str, Any]) -> str:
    packages = f", {facts['packages']}" if "packages" in facts else ""
    return f"{_revision(facts)}, torch {facts['torch']}, Python {facts['python']}{packages}"


def _packages(told: object) -> str:
    return ", ".join(f"{name} {version}" for name, version in told.items()) if isinstance(told, Mapping) else ""


def _revision(facts: Mapping[str, Any]) -> str:
    return Revision(facts["commit"], facts["dirty"]).label
