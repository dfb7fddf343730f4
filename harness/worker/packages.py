"""Where the methods that a study names by import path come from in this process: files, versions, digests of code."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.methods import named
from harness.worker.installed import is_installed

DIGITS = 8
"""Hex digits of a digest of code that are told."""


def locate(methods: Iterable[str]) -> dict[str, Any]:
    """Import these methods ('package.module:name'), and say where everything came from.

    methods: method -> the file of its module; failed: method -> why it cannot be imported; files: module -> file, of
    all modules that neither belong to this harness nor lie with the interpreter and what is installed for it;
    packages: the top-level package of each method -> its version, if it is installed, and a digest of its code.
    """
    found, failed = {}, {}
    for method in methods:
        try:
            named([method])
        except UserError as error:
            failed[method] = str(error)
        else:
            found[method] = _file(method.partition(":")[0])
    packages = {method.partition(":")[0].partition(".")[0] for method in found}
    return {
        "methods": {method: file for method, file in found.items() if file},
        "failed": failed,
        "files": {name: file for name in sorted(sys.modules) if (file := _file(name)) and _is_told(name, file)},
        "packages": {name: _version(name) for name in sorted(packages)},
    }


def _file(module: str) -> str:
    return str(getattr(sys.modules.get(module), "__file__", None) or "")


def _is_told(module: str, file: str) -> bool:
    """Not what is no file either: the modules that torch makes as it is imported have a made-up name of one."""
    of_harness = module.partition(".")[0] == "harness"
    return Path(file).is_absolute() and not of_harness and not is_installed(Path(file))


def _version(package: str) -> str:
    """'0.1.0, code 1a2b3c4d', or 'code 1a2b3c4d' of what is not installed where it is imported from."""
    file = Path(_file(package) or next(iter(getattr(sys.modules[package], "__path__", ())), ""))
    folder = file.parent if file.name == "__init__.py" else file
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
        digest.update(str(path.relative_to(folder.parent)).encode() + path.read_bytes())
    code = f"code {digest.hexdigest()[:DIGITS]}"
    for name in metadata.packages_distributions().get(package, ()):
        installed = metadata.distribution(name)
        if folder.is_relative_to(Path(str(installed.locate_file("")))):
            return f"{installed.version}, {code}"
    return code
