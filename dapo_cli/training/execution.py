"""How a run computes: device, threads, compiled or eager, precision. Decided once and then pinned."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from algorithms.learner.backend import bfloat16_available, compiler_available, precision_for
from algorithms.learner.cache_folder import CacheError, prepare
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput

COMPILE_FROM = 10_000  # gradient steps; fewer are done before a compiler would have paid for itself

NO_COMPILER = {
    "cpu": "install g++ and Python's headers (python3-dev)",
    "cuda": "install gcc, Python's headers (python3-dev) and Triton",
}

NO_BFLOAT16 = {
    "cpu": "this processor has no instructions for it, and would take many times as long",
    "cuda": "this GPU can't compute with it",
}


@dataclass(frozen=True)
class Execution:
    """Everything about the computation that may change a result's last bit; kept with the run and its checkpoints."""

    device: str
    threads: int
    compiled: bool
    backend: str  # PyTorch's name for the precision of float32 matrix products: highest, high or medium
    group_size: int | None = None  # how many seeds are updated as one batch, where several are

    @classmethod
    def decide(cls, config: RunConfig, group_size: int | None = None) -> tuple[Execution, str | None]:
        """By rules that depend on the configuration and the kind of machine only. Also a remark for the user, or None.

        Raises BadInput if the machine lacks what was asked for.
        """
        settings, hyperparameters = config.settings, config.hyperparameters
        if settings.device == "cuda" and not torch.cuda.is_available():
            why = "PyTorch finds no GPU here" if torch.version.cuda else "this PyTorch is built for CPUs"
            raise BadInput(f"device cuda is not possible: {why}; use --device cpu")
        device = settings.device if settings.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        if settings.precision == "bf16" and not bfloat16_available(torch.device(device)):
            raise BadInput(f"precision bf16 is not possible: {NO_BFLOAT16[device]}; use --precision fp32")
        updates = hyperparameters.gradient_steps(settings.steps) * (group_size or 1)
        compiled = settings.compile == "on" or (settings.compile == "auto" and updates >= COMPILE_FROM)
        remark = None
        if compiled and not compiler_available(torch.device(device)):
            if settings.compile == "on":
                raise BadInput(f"compile on is not possible: {_no_compiler(device)}, or use --compile off")
            compiled, remark = False, f"training uncompiled, which is slower: {_no_compiler(device)}"
        return cls(device, settings.threads, compiled, precision_for(torch.device(device)), group_size), remark

    @classmethod
    def pinned(cls, run: Mapping[str, Any], config: RunConfig) -> Execution:
        """What the run used before, where this machine can do it; `config` decides the rest."""
        if config.settings.precision == "bf16" and not bfloat16_available(torch.device(_device(run))):
            raise BadInput(
                f"a run with precision bf16 can't go on here: {NO_BFLOAT16[_device(run)]}; "
                "resume it where it was trained"
            )
        try:
            now, _ = cls.decide(config)
        except BadInput:
            now = cls("cpu", config.settings.threads, False, precision_for(torch.device("cpu")))
        if run["device"] is None or (run["device"] == "cuda" and not torch.cuda.is_available()):
            return now
        compiled = bool(run["compiled"]) and compiler_available(torch.device(run["device"]))
        return cls(run["device"], run["threads"], compiled, run["backend"], run["group_size"])

    def apply(self) -> None:
        """Sets PyTorch's process-wide switches, and where its compiler keeps code; BadInput if it must not be there."""
        if self.compiled:
            try:
                prepare()
            except (CacheError, OSError) as error:
                raise BadInput(str(error)) from error
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision(self.backend)

    def as_dict(self) -> dict[str, Any]:
        """Columns of `run`, and a part of a checkpoint's fingerprint."""
        return asdict(self)


def _no_compiler(device: str) -> str:
    chosen = os.environ.get("CXX") if device == "cpu" else None
    return f"CXX={chosen} compiles nothing: let it name a C++ compiler, or unset it" if chosen else NO_COMPILER[device]


def _device(run: Mapping[str, Any]) -> str:
    """Where a run goes on: where it was trained, if that is here."""
    return "cuda" if run["device"] == "cuda" and torch.cuda.is_available() else "cpu"
