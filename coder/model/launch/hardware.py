"""The hardware that there are recipes for: which published weights suit it, and how much of it a server may take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from coder.model.launch.gpus import Gpu
from coder.model.launch.memory import Precision

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Hardware:
    """One kind of machine.

    `pattern` finds its GPUs in nvidia-smi's names; `memory` is what nvidia-smi shows of one, in bytes. `share` of it
    the server may take. `requests` run at a time; `context` in tokens is what is asked for unless the user says.
    `cache_bytes` is 1 where the KV cache can be FP8. `experts` says that experts are spread over the GPUs whole.
    `evidence` says who ran the model there.
    """

    name: str
    gpu: str
    pattern: str
    count: int
    memory: float
    precision: Precision
    share: float
    requests: int
    context: int
    evidence: str
    cache_bytes: Literal[1, 2] = 1
    experts: bool = True

    def nominal(self) -> tuple[Gpu, ...]:
        """Its GPUs as bought, all free."""
        return tuple(Gpu(index, self.gpu, self.memory, self.memory) for index in range(self.count))


B200 = Hardware(
    name="b200",
    gpu="NVIDIA B200",
    pattern=r"\bG?B[23]00\b",
    count=1,
    memory=183_359 * _MIB,
    precision="NVFP4",
    share=0.90,
    requests=32,
    context=262_144,
    evidence="the model card names one B200 as enough for NVFP4; Lambda measured vLLM on one",
)
H200 = Hardware(
    name="h200",
    gpu="NVIDIA H200",
    pattern=r"\bG?H200\b",
    count=1,
    memory=143_771 * _MIB,
    precision="FP8",
    share=0.95,
    requests=8,
    context=131_072,
    evidence="not verified: no published run on a single H200 was found; FP8 is tight there, two are comfortable",
)
H100 = Hardware(
    name="2xh100",
    gpu="NVIDIA H100 80GB HBM3",
    pattern=r"\bH[18]00\b",
    count=2,
    memory=81_559 * _MIB,
    precision="FP8",
    share=0.90,
    requests=16,
    context=131_072,
    evidence="Lambda measured vLLM with FP8 on two H100",
)
A100 = Hardware(
    name="4xa100",
    gpu="NVIDIA A100-SXM4-80GB",
    pattern=r"\bA[18]00\b",
    count=4,
    memory=81_920 * _MIB,
    precision="BF16",
    share=0.90,
    requests=16,
    context=131_072,
    evidence="Lambda measured vLLM with BF16 on four A100; they compute neither FP8 nor NVFP4",
    cache_bytes=2,
    experts=False,
)
SPARK = Hardware(
    name="spark",
    gpu="NVIDIA GB10",
    pattern=r"\bGB10\b",
    count=1,
    memory=127_600_748 * 1024,
    precision="NVFP4",
    share=0.80,
    requests=8,
    context=262_144,
    evidence="vLLM's own recipe (0.28) verified NVFP4 on one DGX Spark; this is it without MTP",
)
RTX = Hardware(
    name="rtxpro6000",
    gpu="NVIDIA RTX PRO 6000 Blackwell",
    pattern=r"\bRTX PRO 6000\b",
    count=1,
    memory=97_887 * _MIB,
    precision="NVFP4",
    share=0.92,
    requests=8,
    context=262_144,
    evidence="vLLM's own recipe (0.28) verified NVFP4 on one RTX PRO 6000; this is it without MTP",
)

NAMED = {each.name: each for each in (B200, H200, H100, A100, SPARK, RTX)}
"""Sources: vllm-project/recipes, NVIDIA-Nemotron-3-Super-120B-A12B-BF16.yaml; lambda.ai, its page on this model."""


def family(gpu: Gpu) -> Hardware | None:
    """The hardware that a GPU belongs to, or None when there is no recipe for it."""
    return next((each for each in NAMED.values() if re.search(each.pattern, gpu.name, re.IGNORECASE)), None)
