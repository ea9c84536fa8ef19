"""The compiled update is the eager one, and is compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from variants import CONTINUOUS, Variant, variants

from algorithms.learner.backend import compiler_available, precision_for
from algorithms.learner.base import named_leaves
from algorithms.learner.compiling import Recorded, without_denormals
from algorithms.learner.off_policy import OffPolicyLearner as Learner

CPU = torch.device("cpu")


def learner(variant: Variant, compiled: bool, precision: str = "fp32", **choice: object) -> Learner:
    config = variant.Config(hidden_sizes=(16, 16), batch_size=16, learning_starts=8, buffer_size=64, **choice)
    made = Learner(variant.module, config, variant.spaces, seed=0, compiled=compiled, precision=precision)
    rng = np.random.default_rng(1)
    for _ in range(40):
        action = variant.some_action(rng)
        made.replay.add(rng.normal(size=4), action, rng.normal(), rng.normal(size=4), rng.random() < 0.9)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("variant", list(variants()), ids=lambda variant: variant.id)
def test_compiled_is_eager(variant: Variant) -> None:
    """The same state to rounding after two policy iterations and more, every counter included."""
    assert compiler_available(CPU)
    choice = variant.switches | ({"m": 4} if "m" in variant.Config.model_fields else {})
    eager, compiled = (learner(variant, mode, **choice) for mode in (False, True))
    for _ in range(25):
        compiled.update()
        eager.update()
    for (leaf, expected), (_, value) in zip(named_leaves(eager.state), named_leaves(compiled.state), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5, msg=lambda text, leaf=leaf: f"{leaf}: {text}")
    assert compiled.state.actor_adam.steps == eager.state.actor_adam.steps >= 12


@pytest.mark.slow
def test_every_learner_has_its_own_graphs() -> None:
    """Algorithms, hyperparameters and kinds of update in one process do not get each other's compiled step."""
    for name, choice in (
        ("sac", {}),
        ("dapo-kl", {"beta": 0.1}),
        ("dapo-kl", {"beta": 0.9, "actor_updates_per_step": 3}),
    ):
        variant = Variant(name, CONTINUOUS)
        eager, compiled = learner(variant, False, **choice), learner(variant, True, **choice)
        for _ in range(12):
            compiled.update()
            eager.update()
        torch.testing.assert_close(compiled.state.actor, eager.state.actor, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(compiled.state.critic, eager.state.critic, rtol=1e-4, atol=1e-5)


def test_a_recorded_step_reads_what_its_buffers_hold() -> None:
    """The logic of CUDA graphs, with a stand-in for the graph: the learner is the same, and its step recorded once."""
    variant = Variant("dapo-kl", CONTINUOUS)
    plain, recorded = learner(variant, False), learner(variant, False)
    records = []

    def record(call: Callable[[], Any]) -> tuple[Callable[[], object], Any]:
        names = ("critic_loss",)
        result = torch.zeros(0)

        def launch() -> None:
            nonlocal result
            found, values = call()
            names_and_values[0][:] = found
            result.resize_(values.shape).copy_(values)

        names_and_values = ([*names], result)
        records.append(launch)
        return launch, names_and_values

    recorded.ready = lambda step: Recorded(step, record)  # type: ignore[method-assign]
    recorded._count = lambda names, values: type(plain)._count(recorded, tuple(names), values)  # type: ignore
    for _ in range(12):
        plain.update()
        recorded.update()
    for (leaf, expected), (_, value) in zip(named_leaves(plain.state), named_leaves(recorded.state), strict=True):
        assert torch.equal(value, expected), leaf
    assert len(records) == 1
    assert recorded.take_metrics() == plain.take_metrics()


def test_denormals_are_zero_within_a_step_and_nowhere_else() -> None:
    """And change no parameter."""
    tiny = torch.tensor([1e-37])

    def step() -> tuple[tuple[str, ...], torch.Tensor]:
        return ("product",), tiny * 1e-3

    assert without_denormals(step)()[1].item() == 0
    assert step()[1].item() != 0
    plain, flushed = (learner(Variant("sac", CONTINUOUS), False) for _ in range(2))
    plain.ready = lambda step: step  # type: ignore[method-assign]
    for made in (plain, flushed):
        made.state.actor_adam.mean.fill_(1e-39)
        for _ in range(5):
            made.update()
    assert torch.equal(plain.state.actor, flushed.state.actor)
    assert torch.equal(plain.state.critic, flushed.state.critic)


def test_acting_from_a_copy_follows_the_updates() -> None:
    """As with a GPU, whose actor is copied to the CPU after an update."""
    variant, observation = Variant("sac", CONTINUOUS), np.ones(4, np.float32)
    plain, mirrored = learner(variant, False), learner(variant, False)
    mirrored._mirrored = True
    for _ in range(3):
        np.testing.assert_array_equal(mirrored.policy_action(observation), plain.policy_action(observation))
        plain.update()
        mirrored.update()
    saved = plain.tensors(), plain.counters()
    fresh = learner(variant, False)
    fresh._mirrored = True
    fresh.policy_action(observation)
    fresh.restore(*saved)
    np.testing.assert_array_equal(fresh.policy_action(observation), plain.policy_action(observation))


def products(made: Learner) -> set[torch.dtype]:
    """The types of the matrix products' operands in one update."""
    seen = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm):
                seen.update(arg.dtype for arg in args)
            return function(*args, **(kwargs or {}))

    made._diagnosed = True  # diagnostics are in full precision
    with Watch():
        made.update()
    return seen


@pytest.mark.parametrize("variant", list(variants()), ids=lambda variant: variant.id)
def test_half_precision_is_of_the_products_alone(variant: Variant) -> None:
    """With bf16 every product is of bfloat16 numbers; the state stays float32 and near that of full precision."""
    full, half = learner(variant, False, **variant.switches), learner(variant, False, "bf16", **variant.switches)
    assert products(full) == {torch.float32}
    assert products(half) == {torch.bfloat16}
    for _ in range(5):
        full.update()
        half.update()
    for (leaf, expected), (_, value) in zip(named_leaves(full.state), named_leaves(half.state), strict=True):
        assert value.dtype == expected.dtype, leaf
    assert 0 < (half.state.critic - full.state.critic).abs().max() < 0.02


def test_reduced_precision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where "medium" means bfloat16 products, the accuracy check keeps the default."""
    product = torch.Tensor.__matmul__

    def bfloat16_when_medium(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if a.dtype == torch.float32 and torch.get_float32_matmul_precision() == "medium":
            return product(a.bfloat16(), b.bfloat16()).float()
        return product(a, b)

    before = torch.get_float32_matmul_precision()
    monkeypatch.setattr(torch.Tensor, "__matmul__", bfloat16_when_medium)
    assert precision_for(CPU) == "highest"
    monkeypatch.undo()
    assert precision_for(CPU) in ("medium", "highest")
    assert torch.get_float32_matmul_precision() == before
