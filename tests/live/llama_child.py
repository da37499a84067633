"""A real llama.cpp server behind a chat template of our choice, in this process until it is ended.

    python llama_child.py '{"weights": …, "name": …, "port": …, "context": …, "threads": …, "template": file or "",
                            "jinja": …, "faulty": …}'

It dies with the process that started it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    import xllamacpp

    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    settings: dict[str, Any] = json.loads(sys.argv[1])
    server = xllamacpp.Server(
        _params(xllamacpp, settings)
    )  # listens at once, returns when the model is loaded
    print(f"ready at {server.listening_address}", flush=True)
    while True:
        signal.pause()


def _params(xllamacpp: Any, settings: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = settings["weights"]
    params.model_alias = {settings["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = settings["port"]
    params.n_ctx = settings["context"]
    params.n_parallel = 2
    params.kv_unified = True
    params.cache_ram_mib = 1024
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.use_jinja = settings["jinja"]
    if settings["faulty"]:
        params.cache_prompt = False
        params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    if settings["template"]:
        params.chat_template = Path(settings["template"]).read_text()
    params.endpoint_metrics = params.endpoint_props = params.endpoint_slots = True
    params.ui = False
    params.offline = True
    params.verbosity = 2  # warnings and errors
    return params


if __name__ == "__main__":
    main()
