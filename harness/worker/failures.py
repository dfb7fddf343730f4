"""What a method raised, as the status and the one-line reason of its cell.

`unsupported` is what torch refuses, in the words below, or what a method says of itself (harness.methods.Unsupported,
NotImplementedError). Whatever else a method raises is a bug of the method: `crashed`, with its type, file and line.
"""

from __future__ import annotations

import re
import sys
from pathlib import PurePath
from types import CodeType
from typing import Any

import torch

from harness.errors import UserError
from harness.state.watch import Spoilt
from harness.topk.outcome import NoSelection

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch's CPU allocators say, in a RuntimeError, when there is none left."""

WITHOUT_GRADIENT = "does not require grad"
"""What autograd says of values that do not lead back to y."""

REFUSALS = re.compile(
    r"not implemented|has not been implemented|[Nn]ot supported|does not support|do(es)?n't support|do not support"
    r"|[Uu]nsupported|NOT_SUPPORTED|not have vmap support|Could not run '|No working C\+\+ compiler"
    r"|vmap: |Batching rule|functorch transforms|sparse_mm_reduce: expect|[Ss]parse( \w+)? tensors do not have"
    r"|Cannot access data pointer of Tensor that doesn't have storage"
    r"|no fake impl registered|no kernel image is available|not permitted when stream is capturing"
)
"""How torch 2.11 to 2.13 says in a RuntimeError that it cannot do what was asked, on CPUs and CUDA: of a dtype or a
layout (`"addmm_sparse_cuda" not implemented for 'Half'`), of a library (cuSPARSE: `operation not supported when
calling`), of a transform (torch.func: an autograd.Function without setup_context or vmap, data-dependent control
flow), of a build (no kernel image for this GPU)."""

CONVERSIONS = re.compile(r"^Got unsupported ScalarType|^can't convert .* device type tensor to numpy")
"""The same in a TypeError: Tensor.numpy()."""

CAST = re.compile(r"expected scalar type \w+ but found (BFloat16|Half)$")
"""What an operation that autocast does not know says of an operand that autocast has cast."""

COMPILERS = ("torch._dynamo.", "torch._inductor.", "torch.fx.", "torch._functorch.", "torch._subclasses.")
"""Where torch.compile's own exceptions are defined."""

OBSERVED = "Observed exception"
FAKED = ("RuntimeError when making fake tensor call", "Dynamo failed to run FX node")
"""How torch.compile begins what the compiled function itself raises, in Python or in an operator; of the latter the
lines below say what it was."""

TRACED = re.compile(r'^ *File "([^"]+)", line (\d+), in ', re.MULTILINE)
"""How torch.compile ends: with the lines of the function that it compiled, the innermost last."""

LONGEST_REASON = 300

EXPLANATION = "Explanation: "
"""What torch.compile begins the line with that says more than its first."""

LIBRARIES = {"torch", "numpy", "harness", *sys.stdlib_module_names}
METHODS = "harness.methods"
INSTALLED = ("site-packages", "dist-packages")
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,;()]+/)+")
"""The folders of an absolute path, which say where somebody keeps files."""


def failure(error: BaseException, autocast: bool = False) -> dict[str, Any]:
    """The status and reason of what a method raised, its message on one line.

    autocast: whether torch was asked to cast operands to a lower precision.
    """
    if isinstance(error, Spoilt):
        return {"status": "incorrect", "reason": str(error), "spoilt": True}
    if isinstance(error, NoSelection):
        return {"status": "incorrect", "reason": str(error)}
    text = told(error)
    if isinstance(error, Incorrect):
        return {"status": "incorrect", "reason": text}
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(each in str(error) for each in OUT_OF_MEMORY):
        return {"status": "out_of_memory", "reason": text}
    if isinstance(error, NotImplementedError | UserError) or _refused(error, autocast):
        return {"status": "unsupported", "reason": text}
    if WITHOUT_GRADIENT in text:
        text = f"{text} (a method without a gradient says so: @selector(gradient=False))"
    place = _place(error)
    text = f"{type(error).__name__}: {text}"[: LONGEST_REASON - len(place)]
    return {"status": "crashed", "reason": text + place}


def _refused(error: BaseException, autocast: bool) -> bool:
    """Whether it is torch that cannot do what the method asked for."""
    if isinstance(error, TypeError):
        return CONVERSIONS.search(str(error)) is not None
    if not isinstance(error, RuntimeError):
        return False
    first = told(error)
    if first.startswith(OBSERVED):
        return False
    if first.startswith(FAKED):
        return REFUSALS.search(str(error)) is not None
    of_compiler = type(error).__module__.startswith(COMPILERS)
    return of_compiler or REFUSALS.search(first) is not None or (autocast and CAST.search(first) is not None)


def _place(error: BaseException) -> str:
    """Where a method raised, ' (package/module.py, line 3)', or '' where no line of a method is in the traceback.

    That is the innermost line which belongs neither to a library nor to the harness around methods; of a method that
    is itself installed as a library, the innermost of those.
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
            if any(each in code.co_filename for each in INSTALLED):
                installed = place
            else:
                own = place
        traceback = traceback.tb_next
    return own or installed


def _file(code: CodeType, module: str) -> str:
    """The file of a module, from its outermost package on: where that lies is a matter of the machine."""
    path = PurePath(code.co_filename)
    depth = module.count(".") + (path.name == "__init__.py")
    return "/".join(path.parts[-1 - depth :])


class Incorrect(Exception):
    """A method returned what is wrong; the message says what."""


class Unusable(Exception):
    """The device has failed for good in this process; the message says what it failed with."""


def told(error: BaseException) -> str:
    """A message on one line: its first, and what torch.compile explains; the type of one that is empty."""
    first, *others = [line.strip() for line in str(error).strip().splitlines()] or [""]
    explained = [line.removeprefix(EXPLANATION) for line in others if line.startswith(EXPLANATION)]
    if first.endswith(":") and others:
        first = f"{first} {others[0]}"
    text = MACHINE_PATH.sub("", ": ".join([first, *explained[:1]]))
    return text[:LONGEST_REASON] or type(error).__name__
