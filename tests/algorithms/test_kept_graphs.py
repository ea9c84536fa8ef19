"""A kept graph is found by all that it depends on, and computes what a fresh one does, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import Tensor
from variants import Variant, variants

from algorithms import dapo_kl
from algorithms.core.finite import Factored
from algorithms.core.mirror_maps import NegativeEntropy
from algorithms.core.types import Spaces
from algorithms.learner.graph_cache import digest, kept
from algorithms.learner.off_policy import OffPolicyLearner, Stage

OPTIONS = {"max_pointwise_cat_inputs": 0}


def step_of(factor: Any, module: str = "algorithms.made_up") -> Any:
    """A step that overwrites its state and closes over `factor`, as if a module of that name had it."""

    def step(state: Tensor, rows: Tensor) -> tuple[tuple[str, ...], Tensor]:
        new = torch.tanh(state @ rows) * factor
        state.copy_(new)
        return ("mean",), torch.stack((new.mean(),))

    assert isinstance(step, FunctionType)
    step.__module__ = module
    return step


def arguments(rows: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 8, generator=generator), torch.randn(8, rows, generator=generator)


def test_the_digest_tells_apart_what_makes_another_graph() -> None:
    def of(factor: Any = 0.5, rows: int = 8, options: dict[str, Any] = OPTIONS) -> str | None:
        return digest(step_of(factor), arguments(rows), options)

    base = of()
    assert base is not None
    assert of(0.5) == base
    assert of(0.25) != base
    assert of(step_of(0.5)) not in (base, of(step_of(0.25)))
    assert of(rows=9) != base
    assert of(options={}) != base
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert of() != base
    finally:
        torch.set_num_threads(threads)


def test_what_cannot_be_told_apart_is_not_kept() -> None:
    assert digest(step_of(0.5, module="somebody.elses"), arguments(), OPTIONS) is None
    assert digest(step_of(object()), arguments(), OPTIONS) is None  # its text is an address
    assert digest(step_of(dapo_kl), arguments(), OPTIONS) is None  # a module, of which any function may be replaced


@dataclass(frozen=True)
class MirrorMapOfAPackage:
    """Its text says nothing of its code."""


def test_the_graph_of_another_package_s_mirror_map_is_not_kept() -> None:
    policy = Factored.build(Spaces(2, 1, 3), (8,), "relu", False, NegativeEntropy())
    assert digest(step_of(policy), arguments(), OPTIONS) is not None
    theirs: Any = MirrorMapOfAPackage()
    assert digest(step_of(replace(policy, mirror_map=theirs)), arguments(), OPTIONS) is None


@pytest.mark.parametrize("variant", list(variants()), ids=lambda variant: variant.id)
def test_every_algorithm_is_kept_until_somebody_changes_it(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced phase, such as a test's mutant, must not be served the graph of the original."""
    phases = variant.module.PHASES
    stages = [Stage(True, phase, ends=True) for phase in phases]

    def digests() -> list[str | None]:
        learner = OffPolicyLearner(variant.module, variant.Config(batch_size=8), variant.spaces, seed=0, compiled=False)
        return [digest(learner._step(stage), (), {}) for stage in stages]

    before = digests()
    assert None not in before
    assert len(set(before)) == len(stages)
    assert digests() == before
    for name, phase in list(phases.items()):
        monkeypatch.setitem(phases, name, lambda *arguments, phase=phase: phase(*arguments))
    assert digests() == [None] * len(stages)


@pytest.mark.slow
def test_a_kept_graph_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled, loaded, and compiled again because the file was damaged."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    states, compilations = [], []
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *a, **k: compilations.append(1) or compile_(*a, **k))
    for _ in range(3):
        state, rows = arguments()
        run = kept(step_of(0.5), OPTIONS)
        for _ in range(3):
            names, values = run(state, rows)
        assert names == ("mean",)
        states.append((state, values, len(compilations)))
        (place,) = (tmp_path / "dapo" / "graphs").iterdir()
        if len(states) == 2:
            place.write_bytes(b"damaged")
    assert [count for *_, count in states] == [1, 1, 2]
    for state, values, _ in states[1:]:
        assert torch.equal(state, states[0][0])
        assert torch.equal(values, states[0][1])
    assert (tmp_path / "dapo" / "graphs").stat().st_mode & 0o077 == 0
