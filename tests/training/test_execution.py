"""What this machine can't do is said before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import OPTIONS, TINY

from algorithms.learner import backend
from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.training.execution import Execution

WITHOUT = "processor: 0\nflags : fpu avx2 avx512f avx512_vnni amx_int8\n"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a compiler could do is remembered for the process."""
    backend._compiles.cache_clear()
    yield
    backend._compiles.cache_clear()


def short_config(**options: Any) -> RunConfig:
    return configuration.resolve(OPTIONS | options, TINY)


def listing(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cpuinfo").write_text(text)
    monkeypatch.setattr(backend, "CPU_INFO", folder / "cpuinfo")


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        (WITHOUT, False),
        ("flags\t\t: fpu avx512_bf16", True),
        ("flags\t\t: fpu amx_tile amx_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("Features\t: fp asimd i8mm", False),
    ],
)
def test_bfloat16_by_the_instruction_set(text: str, possible: bool, tmp_path: Path, monkeypatch: Any) -> None:
    listing(tmp_path, text, monkeypatch)
    assert backend.bfloat16_available(torch.device("cpu")) is possible


def test_where_no_list_is_pytorch_is_asked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(backend, "CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert backend.bfloat16_available(torch.device("cpu"))


def test_bf16_without_instructions_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    listing(tmp_path, WITHOUT, monkeypatch)
    config = short_config(precision="bf16", device="cpu")
    with pytest.raises(BadInput, match=r"precision bf16 is not possible: this processor .*; use --precision fp32"):
        Execution.decide(config)
    run = {"device": "cpu", "threads": 1, "compiled": False, "backend": "highest", "group_size": None}
    with pytest.raises(BadInput, match=r"a run with precision bf16 can't go on here: .*; resume it where"):
        Execution.pinned(run, config)
    Execution.pinned(run, short_config(precision="fp32", device="cpu"))


@pytest.mark.parametrize("kind", ["nowhere", "fails"])
def test_a_compiler_that_does_not_compile(kind: str, tmp_path: Path, monkeypatch: Any) -> None:
    compiler = tmp_path / "c++"
    if kind == "fails":
        compiler.write_text("#!/bin/sh\nexit 1\n")
        compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(BadInput, match=r"compile on is not possible: .*--compile off"):
        Execution.decide(short_config(compile="on", device="cpu"))
    execution, remark = Execution.decide(short_config(compile="auto", device="cpu", steps=1_000_000))
    assert not execution.compiled
    assert remark is not None
    assert f"CXX={compiler}" in remark


def test_a_cache_that_others_can_write_to(tmp_path: Path, monkeypatch: Any) -> None:
    """Before training, in one line, with the folder's name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    (tmp_path / "dapo").mkdir()
    (tmp_path / "dapo").chmod(0o777)
    with pytest.raises(BadInput, match=r"can be written to by others.*--compile off") as refusal:
        Execution("cpu", torch.get_num_threads(), True, "highest").apply()
    assert str(tmp_path / "dapo") in str(refusal.value)
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
