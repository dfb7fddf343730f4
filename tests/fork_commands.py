"""The command line, forked from a process that has imported its libraries: python -m tests.fork_commands NUMBER.

The number is that of a listening socket. The blocks of the READMEs call `harness` some fifteen times, and each call
would import pandas and what draws pages for two seconds. Who calls it by CLIENT gets a child of this process, with the
caller's standard streams, variables and folder, and the harness that is found from there.
"""

from __future__ import annotations

import importlib
import socket
import sys

from tests.fork_server import become, forget, next_worker

LIBRARIES = (
    *("altair", "cpuinfo", "jinja2", "matplotlib.pyplot", "pandera.pandas", "psutil", "pydantic", "scipy.special"),
    *("seaborn", "tqdm", "vl_convert"),
)

CLIENT = """
import json, os, socket, sys
address, *arguments = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect("\\0" + address)
    socket.send_fds(asked, [b"?"], [0, 1, 2])
    told = {"environment": dict(os.environ), "folder": os.getcwd(), "arguments": arguments}
    asked.sendall(json.dumps(told).encode() + b"\\n")
    pid, code = asked.makefile()
    sys.exit(int(code))
"""
"""What a Python without packages runs instead of `harness`: its arguments are the address of the socket, and those of
the command line."""


if __name__ == "__main__":
    for each in LIBRARIES:
        importlib.import_module(each)
    told = next_worker(socket.socket(fileno=int(sys.argv[1])))
    become(told["environment"], told["folder"])
    forget()
    sys.argv[:] = ["harness", *told["arguments"]]
    importlib.import_module("harness.cli").main()
