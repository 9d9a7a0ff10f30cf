"""Memory: what is kept for the backward pass, and the allocator's high-water mark."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


class Saved(NamedTuple):
    """What a forward pass keeps for the backward pass, in bytes.

    Attributes:
        activations: of tensors that the module made.
        inputs: of its inputs, which are there anyway.
        parameters: of its parameters and buffers, likewise.
    """

    activations: int
    inputs: int
    parameters: int


def saved_for_backward(module: nn.Module, inputs: Mapping[str, Tensor]) -> Saved:
    """Measure what ``module(**inputs)`` keeps, each storage once however many views.

    Tensors that autograd saves are seen, whichever function saves them.
    """
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)  # alive until counted, or its address would be used again
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = module(**inputs)
    sizes = _storages(kept)
    given = _storages(inputs.values())
    learned = _storages([*module.parameters(), *module.buffers()])
    del output
    return Saved(
        activations=sum(sizes[key] for key in sizes.keys() - given - learned.keys()),
        inputs=sum(sizes[key] for key in sizes.keys() & given),
        parameters=sum(sizes[key] for key in sizes.keys() & learned.keys()),
    )


def _storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    """Address → bytes."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}


def high_water(call: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """The most bytes that were allocated at one time while ``call`` ran.

    What was there before is not counted, what it returns is: it lives until the call
    is over. On a CPU every allocation and release of torch's allocator is recorded,
    those inside of kernels too; scratch space of the libraries beneath is not torch's
    and not seen. On CUDA the allocator's own counter is read.

    It runs twice, the first time for what libraries set up once and keep.

    Raises:
        ValueError: for any other device.
    """
    device = check_device(device)
    call()
    collecting = gc.isenabled()
    gc.disable()  # old garbage that went now would hide what the call allocates
    try:
        return _on_cuda(call, device) if device.type == "cuda" else _on_cpu(call)
    finally:
        if collecting:
            gc.enable()


def _on_cuda(call: Callable[[], object], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _on_cpu(call: Callable[[], object]) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it logs its own start and stop
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        result = call()
    del result
    events = [e for e in profile.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def check_device(device: torch.device | str) -> torch.device:
    """The device, if its memory and time can be measured here; raises otherwise."""
    device = torch.device(device)
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device has to be cpu or cuda, got {device}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device has to be cpu where torch finds no GPU, got {device}")
    return device
