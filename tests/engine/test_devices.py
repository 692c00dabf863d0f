"""Number type by what the hardware computes natively; memory that does not suffice."""

import pytest
import torch

from kun.engine.devices import fits_or_says_so, has_bfloat16, pick_dtype
from kun.errors import OutOfMemory

PROCESSOR = torch.device("cpu")


@pytest.mark.parametrize("native", [True, False])
def test_a_stated_type_is_taken_whatever_the_hardware(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr("kun.engine.devices.has_bfloat16", lambda device: native)
    assert pick_dtype("float32", PROCESSOR) == torch.float32
    assert pick_dtype("bfloat16", PROCESSOR) == torch.bfloat16
    assert pick_dtype("auto", PROCESSOR) == (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize(("amx", "avx512", "native"), [(1, 1, True), (1, 0, True), (0, 1, True), (0, 0, False)])
def test_amx_and_avx512_bf16_both_multiply_natively(
    monkeypatch: pytest.MonkeyPatch, amx: int, avx512: int, native: bool
) -> None:
    """AMD's processors have the second without the first, and compute 2.4 times as fast with it."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512))
    assert has_bfloat16(PROCESSOR) is native


def test_this_processor_is_asked_itself() -> None:
    assert has_bfloat16(PROCESSOR) == (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore."), OutOfMemory),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory"), OutOfMemory),
        (RuntimeError("shapes cannot be multiplied"), RuntimeError),
    ],
    ids=["device", "processor", "another error"],
)
def test_memory_that_does_not_suffice_is_told_from_other_errors(error: Exception, told: type[Exception]) -> None:
    @fits_or_says_so
    def compute(rows: int) -> int:
        """Its name and words stay."""
        if rows > 1:
            raise error
        return rows

    assert compute(1) == 1 and compute.__doc__ == "Its name and words stay."
    with pytest.raises(told) as caught:
        compute(2)
    assert type(caught.value) is told
    assert str(caught.value) == str(error).splitlines()[0]


def test_a_failed_allocation_says_out_of_memory_and_other_errors_pass() -> None:
    with pytest.raises(OutOfMemory, match="DefaultCPUAllocator") as caught:
        fits_or_says_so(lambda: torch.empty(2**50))()
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fits_or_says_so(lambda: torch.ones(2, 3) @ torch.ones(2, 3))()
