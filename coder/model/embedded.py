"""The child process that holds the embedded llama.cpp server. Run as a script, with nothing of ours imported:

    python -I embedded.py '{"weights": …, "libraries": [folders], "parent": pid, …}'

It prints one line of JSON when it serves, logs to standard error, and dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_CACHE_MIB = 1024  # prompts of finished requests, kept in memory; llama.cpp's own default is 8 GiB


def main() -> None:
    settings: dict[str, Any] = json.loads(sys.argv[1])
    _die_with(settings["parent"])
    ready = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the library prints belongs to the log
    sys.path += settings["libraries"]
    import xllamacpp

    server = xllamacpp.Server(_params(xllamacpp, settings))  # returns when the model is loaded
    ready.write(json.dumps({"address": server.listening_address}) + "\n")
    ready.close()
    while True:
        signal.pause()


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def _params(xllamacpp: Any, settings: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = settings["weights"]
    params.model_alias = {settings["name"]}
    params.hostnames = [settings["host"]]
    params.port = settings["port"]
    params.cors_origins = f"http://{settings['host']}"  # a page of some web site must not use this server
    params.cors_origins_explicit = True
    params.n_ctx = settings["context"]
    params.n_parallel = settings["slots"]
    params.kv_unified = True  # the slots share the context: one conversation may use all of it
    params.cache_ram_mib = _CACHE_MIB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.use_jinja = True
    params.endpoint_metrics = params.endpoint_props = True
    params.ui = False
    params.offline = True
    params.verbosity = 2  # warnings and errors
    return params


if __name__ == "__main__":
    main()
