"""Device, number type and memory of a process that computes with torch."""

import ctypes
import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from kun import processes
from kun.errors import OutOfMemory

P = ParamSpec("P")
T = TypeVar("T")


def pick_device() -> torch.device:
    """The device that accelerate gives this process."""
    device: torch.device = processes.state().device
    return device


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """`auto` means bfloat16 where the hardware multiplies it natively: emulation on other processors is 100x slower."""
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    return torch.bfloat16 if has_bfloat16(device) else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 natively: of processors those with AMX or AVX512_BF16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed buffers: giving them back costs page faults for each batch of logits."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # from malloc.h
            for option, value in ((mmap_threshold, 1 << 30), (trim_threshold, 1 << 30), (top_pad, 1 << 26)):
                libc.mallopt(option, value)


def fits_or_says_so(compute: Callable[P, T]) -> Callable[P, T]:
    """Turn the out-of-memory errors of devices and of the processor's allocator into OutOfMemory; others pass."""

    @functools.wraps(compute)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return compute(*args, **kwargs)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(str(error).splitlines()[0]) from None
        except RuntimeError as error:
            if "DefaultCPUAllocator" in str(error):
                raise OutOfMemory(str(error).splitlines()[0]) from None
            raise

    return wrapped
