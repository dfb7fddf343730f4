"""Where the methods that a study names by import path come from in this process: files, versions and code digests."""

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
"""How many hex digits of a code digest are reported."""


def locate(methods: Iterable[str]) -> dict[str, Any]:
    """Import these methods ('package.module:name'), and report where everything came from.

    The reply has methods: method -> the file of its module; failed: method -> why it cannot be imported; files: module
    -> file, for all modules that belong neither to this harness nor to the interpreter and its installed packages;
    packages: the top-level package of each method -> its version, if it is installed, and a digest of its code.
    """
    imported, failed = {}, {}
    for method in methods:
        try:
            named([method])
        except UserError as error:
            failed[method] = str(error)
        else:
            imported[method] = _file(method.partition(":")[0])
    packages = {method.partition(":")[0].partition(".")[0] for method in imported}
    return {
        "methods": {method: file for method, file in imported.items() if file},
        "failed": failed,
        "files": {name: file for name in sorted(sys.modules) if (file := _file(name)) and _is_own_code(name, file)},
        "packages": {name: _version(name) for name in sorted(packages)},
    }


def _file(module: str) -> str:
    return str(getattr(sys.modules.get(module), "__file__", None) or "")


def _is_own_code(module: str, file: str) -> bool:
    """Whether a module is the user's own code, and comes from a file at all."""
    of_harness = module.partition(".")[0] == "harness"
    # Modules that torch makes while it is imported have a made-up file name, which is not absolute.
    return Path(file).is_absolute() and not of_harness and not is_installed(Path(file))


def _version(package: str) -> str:
    """'0.1.0, code 1a2b3c4d'; or 'code 1a2b3c4d' for a package that is not imported from where it is installed."""
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
