"""The command for each server, and why each flag is there.

What was seen: the argument parser of vLLM 0.32 (CPU build) took every command for it. No command here ran on a GPU
of ours; SGLang's and TensorRT-LLM's are from their sources and documentation alone. What no published run of this
very model shows is marked `not verified`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from coder.model.launch.memory import USUAL_CONTEXT
from coder.model.launch.plan import Plan

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Flag:
    """Words of the command that belong together, and the reason in a line; plain ones have none."""

    words: tuple[str, ...]
    why: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to run. `config` is the text of the file `config_path` that the command reads, where it reads one."""

    title: str
    head: tuple[str, ...]
    flags: tuple[Flag, ...]
    environment: dict[str, str]
    install: str
    notes: tuple[str, ...] = ()
    config: str = ""
    config_path: str = ""

    @property
    def argv(self) -> list[str]:
        return [*self.head, *(word for flag in self.flags for word in flag.words)]


@dataclass(frozen=True, slots=True)
class Address:
    """`config_path` is where a server's options file goes, for those that want one."""

    host: str
    port: int
    config_path: str = "coder-trtllm.yaml"

    @property
    def flags(self) -> tuple[Flag, Flag]:
        return Flag(("--host", self.host)), Flag(("--port", str(self.port)))


_NO_MTP = (
    "no MTP (speculative decoding): beside a prefix cache it corrupted hybrid models' output (vLLM issue 53912), "
    "and an agent gains more from the cache"
)
_TOOLS = "the model's calls arrive as calls instead of text"


def vllm(plan: Plan, address: Address) -> Recipe:
    """For vLLM 0.20 and later; Blackwell workstations (DGX Spark, RTX PRO 6000) want 0.28.

    Sources: vLLM 0.20 and 0.32, engine/arg_utils.py, config/cache.py and config/model.py; vllm-project/recipes,
    NVIDIA-Nemotron-3-Super-120B-A12B-BF16.yaml; NVIDIA-NeMo/Nemotron, AdvancedDeploymentGuide (expert parallel).
    """
    hardware, gpus = plan.hardware, str(len(plan.gpus))
    flags = [
        *_alias(plan),
        *address.flags,
        Flag(("--tensor-parallel-size", gpus)),
        *_when(
            hardware.experts and len(plan.gpus) > 1,
            Flag(("--enable-expert-parallel",), "whole experts on each GPU: less traffic than cutting them"),
        ),
        Flag(("--max-model-len", str(plan.context)), "tokens of the longest conversation"),
        Flag(
            ("--gpu-memory-utilization", f"{plan.share:.2f}"), "of each GPU; vLLM refuses when less is free"
        ),
        Flag(("--max-num-seqs", str(hardware.requests)), "requests at a time; each holds its Mamba state"),
        _cache_type(plan, "--kv-cache-dtype", "fp8"),
        Flag(
            ("--mamba-ssm-cache-dtype", "float32"), "the only type known to be accurate (vLLM's own default)"
        ),
        Flag(
            ("--enable-prefix-caching",),
            "off by default for hybrid models in 0.20: every turn would read the whole conversation again",
        ),
        Flag(
            ("--mamba-cache-mode", "align"),
            f"the one mode that 0.20 and 0.32 share; a prefix is found in steps of about {plan.block} tokens",
        ),
        Flag(("--enable-prompt-tokens-details",), "usage tells the cached tokens; off by default"),
        Flag(("--enable-auto-tool-choice", "--tool-call-parser", "qwen3_coder"), _TOOLS),
        Flag(("--reasoning-parser", "nemotron_v3"), "built in: no plugin file, and thinking budgets work"),
        *_workstation(hardware.name),
    ]
    notes = (
        _NO_MTP,
        "no --trust-remote-code: vLLM knows this architecture, code from the weights' folder need not run",
    )
    return Recipe(
        title="vLLM",
        head=("vllm", "serve", plan.weights.model),
        flags=tuple(flags),
        environment=_environment(
            plan,
            "VLLM_ALLOW_LONG_MAX_MODEL_LEN",
            VLLM_NO_USAGE_STATS="1",
            **({"VLLM_FLOAT32_MATMUL_PRECISION": "high"} if hardware.name in _WORKSTATIONS else {}),
        ),
        install="uv pip install vllm --torch-backend auto, or run it in the image vllm/vllm-openai",
        notes=notes,
    )


def sglang(plan: Plan, address: Address) -> Recipe:
    """For SGLang 0.5.12 and later (the first with strict thinking).

    Sources: sgl-project/sgl-cookbook, Nemotron3-Super.md, and pull 27184 (`sglang serve`); SGLang 0.5.23,
    server_args.py and the reasoning parsers; NVIDIA-NeMo/Nemotron, AdvancedDeploymentGuide.
    """
    gpus = str(len(plan.gpus))
    flags = [
        *_alias(plan),
        *address.flags,
        Flag(("--tp-size", gpus)),
        *_when(
            plan.hardware.experts and len(plan.gpus) > 1,
            Flag(("--ep-size", gpus), "whole experts on each GPU: less traffic than cutting them"),
        ),
        Flag(
            ("--trust-remote-code",),
            "in every published command for this model; it runs the weights' .py files",
        ),
        Flag(("--context-length", str(plan.context)), "tokens of the longest conversation"),
        Flag(
            ("--max-running-requests", str(plan.hardware.requests)),
            "requests at a time; the model card's 8 leaves a large GPU idle",
        ),
        _cache_type(plan, "--kv-cache-dtype", "fp8_e4m3"),
        Flag(("--mamba-ssm-dtype", "float32"), "the only type known to be accurate"),
        Flag(("--enable-cache-report",), "usage tells the cached tokens; off by default"),
        Flag(("--tool-call-parser", "qwen3_coder"), _TOOLS),
        Flag(
            ("--reasoning-parser", "nemotron_3"), "ends the reasoning at a tool call too, streaming as well"
        ),
        Flag(
            ("--enable-strict-thinking",),
            "the server ends thinking at a request's custom_params.thinking_budget",
            verified=False,
        ),
    ]
    return Recipe(
        title="SGLang",
        head=("sglang", "serve", "--model-path", plan.weights.model),
        flags=tuple(flags),
        environment=_environment(plan, "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"),
        install="uv pip install sglang, or run it in the image lmsysorg/sglang",
        notes=(
            "the prefix cache is on by default; never add --disable-radix-cache",
            "no MTP (speculative decoding): NVIDIA's command for it turns the prefix cache off",
            *_when(
                plan.hardware.name not in ("b200", "h200", "2xh100"),
                "not verified on this hardware: SGLang's page on this model names H200 and B200",
            ),
        ),
    )


def trtllm(plan: Plan, address: Address) -> Recipe:
    """For TensorRT-LLM 1.3.0rc27 and later, whose options know `mamba_state_config`; earlier ones reject it.

    Sources: NVIDIA/TensorRT-LLM, deployment-guide-for-nemotron-3-on-trtllm.md (parsers), features/kvcache.html and
    MambaStateConfig of 1.3.0rc27 (snapshots), usage_lib.py (telemetry); NVIDIA-NeMo/Nemotron,
    AdvancedDeploymentGuide and SparkDeploymentGuide (batch, MoE backends), which turn block reuse off.
    """
    gpus = str(len(plan.gpus))
    requests = str(plan.hardware.requests)
    flags = [
        *address.flags,
        Flag(("--tp_size", gpus)),
        Flag(("--ep_size", gpus if plan.hardware.experts else "1")),
        Flag(("--max_batch_size", requests), "requests at a time; each holds its Mamba state"),
        Flag(("--max_num_tokens", "8192"), "tokens in one step"),
        Flag(("--max_seq_len", str(plan.context)), "tokens of the longest conversation"),
        Flag(
            ("--trust_remote_code",),
            "in every published command for this model; it runs the weights' .py files",
        ),
        Flag(("--reasoning_parser", "nano-v3"), "this model's format too; nemotron-v3 is another name of it"),
        Flag(("--tool_parser", "qwen3_coder"), _TOOLS),
        Flag(("--extra_llm_api_options", address.config_path), "the file above; its comments say why"),
    ]
    ampere = "not verified on A100: the guide names only Hopper and Blackwell"
    return Recipe(
        title="TensorRT-LLM",
        head=("trtllm-serve", plan.weights.model),
        flags=tuple(flags),
        environment=_environment(plan, "TLLM_ALLOW_LONG_MAX_MODEL_LEN", TRTLLM_NO_USAGE_STATS="1"),
        install="run it in NVIDIA's TensorRT-LLM release container, 1.3.0rc27 or later",
        notes=(_NO_MTP, *_when(plan.hardware.cache_bytes == 2, ampere)),
        config=_trtllm_options(plan),
        config_path=address.config_path,
    )


def _trtllm_options(plan: Plan) -> str:
    """YAML. Block reuse alone finds nothing again in a hybrid model: a Mamba state must have been kept too."""
    backend = {"b200": "TRTLLM", "spark": "CUTLASS"}.get(plan.hardware.name, "")
    return "\n".join(
        [
            "kv_cache_config:",
            f"  dtype: {'fp8' if plan.hardware.cache_bytes == 1 else 'auto'}",
            "  # the model card says false: every turn would read the whole conversation again (not verified)",
            "  enable_block_reuse: true",
            "  # a prefix is found again only where a Mamba state was kept: at the end of each prompt (not verified)",
            "  use_kv_cache_manager_v2: true",
            "  mamba_state_config:",
            "    additional_snapshot_offsets_from_end: [0]",
            "  mamba_ssm_cache_dtype: float32",
            "  free_gpu_memory_fraction: 0.8",
            *([f"moe_config:\n  backend: {backend}"] if backend else []),
            "cuda_graph_config:",
            "  enable_padding: true",
            f"  max_batch_size: {plan.hardware.requests}",
            "enable_chunked_prefill: true",
            "",
        ]
    )


BACKENDS: dict[str, Callable[[Plan, Address], Recipe]] = {"vllm": vllm, "sglang": sglang, "trtllm": trtllm}
COPIES = {"vllm": 2, "sglang": 3, "trtllm": 2}
"""Mamba states for a running request; see `memory`."""

_WORKSTATIONS = ("spark", "rtxpro6000")


def _workstation(name: str) -> tuple[Flag, ...]:
    """What vLLM's recipe adds on small Blackwells, whose kernels are not those of a B200."""
    if name not in _WORKSTATIONS:
        return ()
    backend = Flag(("--attention-backend", "flashinfer"), "as in vLLM's recipe for DGX Spark")
    batch = Flag(("--max-num-batched-tokens", "16384"), "as in vLLM's recipe: longer steps while reading")
    return (backend, batch) if name == "spark" else (batch,)


def _alias(plan: Plan) -> tuple[Flag, ...]:
    return _when(
        plan.weights.local,
        Flag(("--served-model-name", plan.weights.alias), "the folder's name, not its path"),
    )


def _cache_type(plan: Plan, flag: str, eight_bits: str) -> Flag:
    if plan.hardware.cache_bytes == 2:
        return Flag((flag, "auto"), "16 bits: these GPUs do not compute FP8")
    return Flag((flag, eight_bits), "as NVIDIA serves it; half the memory of 16 bits")


def _environment(plan: Plan, long_context: str, **more: str) -> dict[str, str]:
    found = more | {"DO_NOT_TRACK": "1"}
    if plan.weights.local:
        found["HF_HUB_OFFLINE"] = "1"
    if plan.context > USUAL_CONTEXT:
        found[long_context] = "1"
    if plan.visible:
        # nvidia-smi counts in bus order, CUDA by speed unless told
        found |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": plan.visible}
    return found


def _when(wanted: bool, thing: Thing) -> tuple[Thing, ...]:
    return (thing,) if wanted else ()
