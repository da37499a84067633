"""How much GPU memory Nemotron 3 Super (120B-A12B) needs: the arithmetic, and where its numbers come from.

The sum, for each of `n` GPUs that share the model (tensor parallel):

    weights / n
  + one full context:  tokens x 8 attention layers x 2 (K and V) x KV heads x 128 x bytes an element
  + states:            running requests x copies x 40 Mamba layers x (128 x 64 x 128 x 4 + 10240 x 3 x 2) / n bytes
  + working memory:    6 GB, a bound of ours: activations, CUDA graphs, NCCL and the CUDA context; not measured

2 KV heads cannot be cut into more than two parts: from three GPUs on each holds a copy of one head. Contexts of
further requests, and cached prefixes, live in what is left over; without a left-over the cache only thrashes.

Sources: layers, heads and dimensions from NVIDIA-NeMo/Nemotron, docs/nemotron/super3/pretrain.md (88 layers, 2 KV
heads of 128, 128 Mamba heads of 64, state 128, 8 groups) and the checkpoint's layer pattern in Megatron's launch
scripts (40 M, 40 E, 8 *). Convolution width 4, kept as 3 columns of bf16; 10240 = 128 x 64 + 2 x 8 x 128
(vLLM 0.32, layers/mamba/mamba_utils.py). The state is float32: only that is known to be accurate
(vLLM 0.32, models/config.py). Copies: vLLM's cache mode align keeps two (v1/kv_cache_interface.py), SGLang's
extra_buffer three (its Qwen3-Next page); two is assumed for TensorRT-LLM, not verified.

Weights, where no local files can be counted: BF16 123.6 G parameters with the draft layer (their count in
llama.cpp's conversion) x 2 bytes; FP8 a bound: one byte each and the layers that stay in 16 bits; NVFP4 75 GB, the
published folder's size (69.5 GiB once loaded in vLLM 0.17, by a public log on DGX Spark).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

GB = 1e9
"""Bytes. Decimal, as GPUs are sold; nvidia-smi's MiB are converted."""

WEIGHTS = {"BF16": 248 * GB, "FP8": 128 * GB, "NVFP4": 75 * GB}
"""Bytes of the three published checkpoints."""

Precision = Literal["BF16", "FP8", "NVFP4"]

LONGEST_CONTEXT = 1_048_576
USUAL_CONTEXT = 262_144
"""Tokens: what the model was trained to, and what its configuration says; beyond the second servers want to be told."""

_ATTENTION_LAYERS, _KV_HEADS, _HEAD = 8, 2, 128
_MAMBA_LAYERS = 40
_STATE = 128 * 64 * 128 * 4 + (128 * 64 + 2 * 8 * 128) * 3 * 2
_WORKING = 6 * GB


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes on each GPU."""

    weights: float
    context: float
    states: float
    working: float = _WORKING

    @property
    def total(self) -> float:
        return self.weights + self.context + self.states + self.working

    def __str__(self) -> str:
        parts = ("weights", self.weights), ("one full context", self.context), ("states", self.states)
        terms = " + ".join(f"{name} {size / GB:.1f}" for name, size in parts)
        return f"{terms} + working memory {self.working / GB:.1f} = {self.total / GB:.1f} GB"


def need(
    weights: float, *, gpus: int, context: int, requests: int, copies: int, cache_bytes: Literal[1, 2]
) -> Need:
    """What each of `gpus` GPUs must hold.

    Args:
        weights: bytes of the whole checkpoint.
        context: tokens of the one full context that must always fit.
        requests: how many run at the same time.
        copies: Mamba states that the server keeps for a running request.
        cache_bytes: of one element of the KV cache: 1 for FP8, 2 for 16 bits.
    """
    heads = _KV_HEADS / min(gpus, _KV_HEADS)
    return Need(
        weights=weights / gpus,
        context=context * _ATTENTION_LAYERS * 2 * heads * _HEAD * cache_bytes,
        states=requests * copies * _MAMBA_LAYERS * _STATE / gpus,
    )


def block_tokens(*, gpus: int, cache_bytes: Literal[1, 2]) -> int:
    """Tokens in a block of vLLM's cache, the step in which a prefix is found again.

    vLLM makes the block so long that a layer's KV page is as large as a layer's Mamba state; a multiple of 16.
    """
    heads = _KV_HEADS / min(gpus, _KV_HEADS)
    return math.ceil(_STATE / gpus / (2 * heads * _HEAD * cache_bytes) / 16) * 16
