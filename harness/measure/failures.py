"""What a method raised, as the status and the one-line reason of its cell."""

from __future__ import annotations

import torch

from harness.errors import UserError

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch's CPU allocators say, in a RuntimeError, when there is none left."""

WITHOUT_GRADIENT = "does not require grad"
"""What autograd says of values that do not lead back to y."""

LONGEST_REASON = 300

EXPLANATION = "Explanation: "
"""What torch.compile begins the line with that says more than its first."""


def failure(error: BaseException) -> dict[str, str]:
    """The status and reason of what a method raised: torch's own message, on one line."""
    text = told(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(each in str(error) for each in OUT_OF_MEMORY):
        return {"status": "out_of_memory", "reason": text}
    if WITHOUT_GRADIENT in text:
        text = f"{text} (a method without a gradient says so: @selector(gradient=False))"[:LONGEST_REASON]
    if isinstance(error, RuntimeError | UserError):  # NotImplementedError too; a method that is not known here
        return {"status": "unsupported", "reason": text}
    return {"status": "crashed", "reason": f"{type(error).__name__}: {text}"}


class Unusable(Exception):
    """The device has failed for good in this process; the message says what it failed with."""


def told(error: BaseException) -> str:
    """A message on one line: its first, and what torch.compile explains; the type of one that is empty."""
    first, *others = [line.strip() for line in str(error).strip().splitlines()] or [""]
    explained = [line.removeprefix(EXPLANATION) for line in others if line.startswith(EXPLANATION)]
    return ": ".join([first, *explained[:1]])[:LONGEST_REASON] or type(error).__name__
