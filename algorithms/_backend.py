"""How matrix products are computed: the fastest library that is as exact as float32 ought to be."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path

import torch

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
    return shutil.which(os.environ.get("CXX", "g++")) is not None
