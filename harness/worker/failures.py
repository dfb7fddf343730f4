"""Turns what a method raised into the status and the one-line reason of its cell.

A cell is `unsupported` if torch refuses what the method asks for, in one of the wordings below, or if the method says
so itself (harness.methods.Unsupported, NotImplementedError). Any other error is a bug of the method: `crashed`, with
its type, file and line.
"""

from __future__ import annotations

import re
import sys
from pathlib import PurePath
from types import CodeType
from typing import Any

import torch

from harness.errors import UserError
from harness.outside_text import without_folders
from harness.state.watch import Spoilt
from harness.topk.outcome import NoSelection
from harness.worker.installed import SITE

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""Messages of torch's CPU allocators when memory runs out, in a RuntimeError."""

WITHOUT_GRADIENT = "does not require grad"
"""Part of autograd's message about values that do not depend on y differentiably."""

REFUSALS = re.compile(
    r"not implemented|has not been implemented|[Nn]ot supported|does not support|do(es)?n't support|do not support"
    r"|[Uu]nsupported|NOT_SUPPORTED|not have vmap support|Could not run '|No working C\+\+ compiler"
    r"|vmap: |Batching rule|functorch transforms|sparse_mm_reduce: expect|[Ss]parse( \w+)? tensors do not have"
    r"|Cannot access data pointer of Tensor that doesn't have storage"
    r"|no fake impl registered|no kernel image is available|not permitted when stream is capturing"
)
"""RuntimeErrors with which torch 2.11 to 2.13 refuses something on CPUs and CUDA: a dtype or layout
(`"addmm_sparse_cuda" not implemented for 'Half'`), a library call (cuSPARSE: `operation not supported when calling`), a
transform (torch.func: an autograd.Function without setup_context or vmap, data-dependent control flow), or this GPU
(torch was built without a kernel image for it)."""

CONVERSIONS = re.compile(r"^Got unsupported ScalarType|^can't convert .* device type tensor to numpy")
"""TypeErrors with which Tensor.numpy() refuses a conversion."""

CAST = re.compile(r"expected scalar type \w+ but found (BFloat16|Half)$")
"""The error of an operation without an autocast rule about an operand that autocast has cast."""

COMPILERS = ("torch._dynamo.", "torch._inductor.", "torch.fx.", "torch._functorch.", "torch._subclasses.")
"""Modules that define torch.compile's own exceptions."""

OBSERVED = "Observed exception"
FAKED = ("RuntimeError when making fake tensor call", "Dynamo failed to run FX node")
"""How torch.compile's error begins if the compiled function itself raised, in Python (OBSERVED) or in an operator
(FAKED). In the latter case the original error follows in later lines."""

TRACED = re.compile(r'^ *File "([^"]+)", line (\d+), in ', re.MULTILINE)
"""How torch.compile's error ends: with the traceback of the compiled function, innermost line last."""

LONGEST_REASON = 300

EXPLANATION = "Explanation: "
"""Prefix of the line in which torch.compile explains its error."""

LIBRARIES = {"torch", "numpy", "harness", *sys.stdlib_module_names}
METHODS = "harness.methods"


def failure(error: BaseException, autocast: bool = False) -> dict[str, Any]:
    """The status and the reason, in one line, of an error that a method raised.

    autocast: whether the method ran under autocast.
    """
    if isinstance(error, Spoilt):
        return {"status": "incorrect", "reason": str(error), "spoilt": True}
    if isinstance(error, NoSelection):
        return {"status": "incorrect", "reason": str(error)}
    text = one_line(error)
    if isinstance(error, Incorrect):
        return {"status": "incorrect", "reason": text}
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        return {"status": "out_of_memory", "reason": text}
    if isinstance(error, NotImplementedError | UserError) or _refused(error, autocast):
        return {"status": "unsupported", "reason": text}
    if WITHOUT_GRADIENT in text:
        text = f"{text} (a method without a gradient says so: @selector(gradient=False))"
    place = _place(error)
    text = f"{type(error).__name__}: {text}"[: LONGEST_REASON - len(place)]
    return {"status": "crashed", "reason": text + place}


def _refused(error: BaseException, autocast: bool) -> bool:
    """Whether torch refused what the method asked for."""
    if isinstance(error, TypeError):
        return CONVERSIONS.search(str(error)) is not None
    if not isinstance(error, RuntimeError):
        return False
    first = one_line(error)
    if first.startswith(OBSERVED):
        return False
    if first.startswith(FAKED):
        return REFUSALS.search(str(error)) is not None
    by_compiler = type(error).__module__.startswith(COMPILERS)
    return by_compiler or REFUSALS.search(first) is not None or (autocast and CAST.search(first) is not None)


def _place(error: BaseException) -> str:
    """Where a method raised, as ' (package/module.py, line 3)', or '' if no line of a method is in the traceback.

    This is the innermost line that belongs neither to a library nor to the harness itself, or else, for a method that
    is installed as a package, the innermost line of an installed package.
    """
    own = installed = ""
    if traced := TRACED.findall(str(error)):
        name, line = traced[-1]
        return f" ({PurePath(name).name}, line {line})"
    traceback = error.__traceback__
    while traceback is not None:
        code, module = traceback.tb_frame.f_code, str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.startswith(METHODS) or module.partition(".")[0] not in LIBRARIES:
            place = f" ({_file(code, module)}, line {traceback.tb_lineno})"
            if any(folder in code.co_filename for folder in SITE):
                installed = place
            else:
                own = place
        traceback = traceback.tb_next
    return own or installed


def _file(code: CodeType, module: str) -> str:
    """The file of a module, as a path from its outermost package on, which is the same on every machine."""
    path = PurePath(code.co_filename)
    depth = module.count(".") + (path.name == "__init__.py")
    return "/".join(path.parts[-1 - depth :])


class Incorrect(Exception):
    """A method returned a wrong result; the message says what is wrong."""


class Unusable(Exception):
    """The device has failed for the rest of this process; the message is its error."""


def one_line(error: BaseException) -> str:
    """An error's message in one line: its first line, and torch.compile's explanation; without a message, its type."""
    first, *others = [line.strip() for line in str(error).strip().splitlines()] or [""]
    explanations = [line.removeprefix(EXPLANATION) for line in others if line.startswith(EXPLANATION)]
    if first.endswith(":") and others:
        first = f"{first} {others[0]}"
    text = without_folders(": ".join([first, *explanations[:1]]))
    return text[:LONGEST_REASON] or type(error).__name__
