"""How matrix products are computed: the fastest library that is as exact as float32 ought to be."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # of x86 and of ARM, as Linux lists them
TOLERANCE = 4.0  # times the error of the plain float32 product; reduced precision is off by a factor of 100 and more


def precision_for(device: torch.device) -> str:
    """The `torch.set_float32_matmul_precision` to use on this device, by an accuracy check, never by a timing.

    "medium" lets PyTorch take oneDNN's AVX-512 kernels on a CPU, which on many machines are fp32 all the same and
    faster than the default; where it means bfloat16 the check against float64 refuses it. On a GPU it allows TF32.
    """
    if device.type == "cuda":
        return "highest"
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator).to(device) for _ in range(2))
    exact = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    errors = {}
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        errors[precision] = ((a @ b).double() - exact).abs().max().item()
    torch.set_float32_matmul_precision(before)
    return "medium" if errors["medium"] <= TOLERANCE * errors["highest"] else "highest"


def compiler_available(device: torch.device) -> bool:
    """Whether `torch.compile` can build for this device: it needs a compiler and Python's headers; on a GPU Triton."""
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return False
    if device.type == "cuda":
        compilers = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]  # for Triton's driver
        return importlib.util.find_spec("triton") is not None and any(map(shutil.which, compilers))
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    return compiler is not None and _compiles(compiler)


@cache
def _compiles(compiler: str) -> bool:
    """Whether it takes Python's headers. Nothing is written, so that a full disk is not taken for a broken compiler."""
    command = [compiler, "-fsyntax-only", "-x", "c++", f"-I{sysconfig.get_path('include')}", "-"]
    try:
        done = subprocess.run(command, input=b"#include <Python.h>\n", capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def bfloat16_available(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; without, its products are many times slower than float32's."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    with suppress(OSError):
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return bool(BFLOAT16 & set(line.split()))
    # Where the system does not list them, PyTorch's own word counts.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
