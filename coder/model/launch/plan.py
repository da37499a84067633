"""Which GPUs serve the model, whether it fits, and what else would."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from coder.errors import UsageError
from coder.model.launch.gpus import Gpu
from coder.model.launch.hardware import NAMED, Hardware, family
from coder.model.launch.memory import GB, Need, block_tokens, need
from coder.model.launch.weights import Weights, named, published

_SMALLEST_CONTEXT = 16_384


@dataclass(frozen=True, slots=True)
class Plan:
    """One model over `gpus`, of `seen` that the machine has; none was seen when it is planned for another machine."""

    hardware: Hardware
    weights: Weights
    context: int
    copies: int
    gpus: tuple[Gpu, ...]
    seen: tuple[Gpu, ...] = ()

    @property
    def need(self) -> Need:
        return need(
            self.weights.size,
            gpus=len(self.gpus),
            context=self.context,
            requests=self.hardware.requests,
            copies=self.copies,
            cache_bytes=self.hardware.cache_bytes,
        )

    @property
    def share(self) -> float:
        """How much of every GPU the server may take: vLLM does not start where less than that is free."""
        free = min(gpu.free / gpu.total for gpu in self.gpus)
        return max(0.01, min(self.hardware.share, math.floor(free * 100) / 100))

    @property
    def fits(self) -> bool:
        return all(self.need.total <= self.share * gpu.total for gpu in self.gpus)

    @property
    def block(self) -> int:
        return block_tokens(gpus=len(self.gpus), cache_bytes=self.hardware.cache_bytes)

    @property
    def visible(self) -> str:
        """For CUDA_VISIBLE_DEVICES; empty when the server may see every GPU."""
        return "" if len(self.gpus) >= len(self.seen) else ",".join(str(gpu.index) for gpu in self.gpus)

    def verdict(self) -> list[str]:
        """`fits: 88 of 173 GB …` for every GPU."""
        return [self._verdict(gpu) for gpu in (self.gpus if self.seen else self.gpus[:1])]

    def worst(self) -> str:
        """The verdict on the GPU with the least to give."""
        return self._verdict(min(self.gpus, key=lambda gpu: gpu.free / gpu.total))

    def _verdict(self, gpu: Gpu) -> str:
        usable = self.share * gpu.total
        word = "fits" if self.need.total <= usable else "does not fit"
        sizes = f"{word}: {self.need.total / GB:.1f} of {usable / GB:.1f} GB usable"
        if not self.seen:
            return f"{sizes} on each {gpu.name} ({gpu.total / GB:.0f} GB as sold; no GPU was asked)"
        return f"{sizes} on GPU {gpu.index}, {gpu.name} ({gpu.free / GB:.1f} of {gpu.total / GB:.1f} GB free)"


def on_paper(hardware: Hardware, weights: Weights, context: int, copies: int) -> Plan:
    """For named hardware that may be another machine's."""
    return Plan(hardware, weights, context or hardware.context, copies, hardware.nominal())


def on_these(hardware: Hardware, seen: Sequence[Gpu], weights: Weights, context: int, copies: int) -> Plan:
    """Named hardware on the GPUs that this machine really has.

    Raises:
        UsageError: the machine is another one.
    """
    ours = [gpu for gpu in seen if family(gpu) is hardware]
    if len(ours) < hardware.count:
        raise UsageError(
            f"{hardware.name} wants {hardware.count} x {hardware.gpu}; this machine has {_listed(seen)}",
            hint="--hardware auto looks for itself; --force starts all the same",
        )
    return Plan(
        hardware, weights, context or hardware.context, copies, _freest(ours, hardware.count), tuple(seen)
    )


def automatic(seen: Sequence[Gpu], model: str, context: int, copies: int) -> Plan:
    """The fewest equal GPUs that hold the model; when none do, the largest group, so that its sum can be shown.

    Raises:
        UsageError: there is no recipe for any of the GPUs, or the weights cannot be used.
    """
    plans = list(_candidates(seen, model, context, copies))
    if not plans:
        raise UsageError(f"there is no recipe for {_listed(seen)}", hint=known_hardware())
    return max(plans, key=lambda plan: (plan.fits, sum(gpu.total for gpu in plan.gpus)))


def _candidates(seen: Sequence[Gpu], model: str, context: int, copies: int) -> Iterable[Plan]:
    """One plan for every kind of GPU: tensor parallel wants equal ones."""
    for name in dict.fromkeys(gpu.name for gpu in seen):
        group = [gpu for gpu in seen if gpu.name == name]
        hardware = family(group[0])
        if hardware is None:
            continue
        weights = named(model, hardware.precision)
        sizes = [size for size in (1, 2, 4, 8) if size <= len(group)]
        tried = [
            Plan(hardware, weights, context or hardware.context, copies, _freest(group, size), tuple(seen))
            for size in sizes
        ]
        yield next((plan for plan in tried if plan.fits), tried[-1])


def alternatives(plan: Plan) -> str:
    """What would fit instead, in one line."""
    found = []
    busy = [gpu for gpu in plan.gpus if gpu.free < plan.hardware.share * gpu.total]
    if busy and replace(plan, gpus=tuple(replace(gpu, free=gpu.total) for gpu in plan.gpus)).fits:
        found.append("the same GPUs with nothing else on them: " + _in_use(busy))
    context = plan.context
    while (context := context // 2) >= _SMALLEST_CONTEXT:
        if replace(plan, context=context).fits:
            found.append(f"--context {context}")
            break
    small = published("NVFP4")
    if plan.weights.precision != "NVFP4" and replace(plan, weights=small).fits:
        found.append(f"--model {small.model} (4-bit weights on other GPUs than Blackwell: not verified)")
    others = [
        each.name
        for each in NAMED.values()
        if on_paper(each, _there(plan.weights, each), plan.context, plan.copies).fits
    ]
    found += [f"--hardware {', '.join(others)}"] if others else []
    return "what would: " + "; ".join(found) if found else "nothing that there is a recipe for would"


def _there(weights: Weights, hardware: Hardware) -> Weights:
    """The same weights on other hardware; of NVIDIA's own, those that suit it."""
    return published(hardware.precision) if weights == published(weights.precision) else weights


def known_hardware() -> str:
    return f"name it with --hardware: {', '.join(NAMED)}"


def _freest(gpus: Sequence[Gpu], count: int) -> tuple[Gpu, ...]:
    chosen = sorted(gpus, key=lambda gpu: -gpu.free)[:count]
    return tuple(sorted(chosen, key=lambda gpu: gpu.index))


def _in_use(gpus: Sequence[Gpu]) -> str:
    return ", ".join(f"{(gpu.total - gpu.free) / GB:.0f} GB of GPU {gpu.index} are in use" for gpu in gpus)


def _listed(gpus: Sequence[Gpu]) -> str:
    names = [gpu.name for gpu in gpus]
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
