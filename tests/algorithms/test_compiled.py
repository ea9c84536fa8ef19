"""The compiled update is the eager one, and is compiled once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from variants import CONTINUOUS, Variant, variants

from algorithms._backend import compiler_available, precision_for
from algorithms._learner import named_leaves
from algorithms._off_policy import OffPolicyLearner as Learner

CPU = torch.device("cpu")


def learner(variant: Variant, compiled: bool, **choice: object) -> Learner:
    config = variant.Config(hidden_sizes=(16, 16), batch_size=16, learning_starts=8, buffer_size=64, **choice)
    made = Learner(variant.module, config, variant.spaces, seed=0, compiled=compiled)
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
