"""The on-policy losses: written out by hand, and the identities between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from on_policy import NAMES, learner
from torch import Tensor
from torch.func import grad
from variants import CONTINUOUS, FINITE

import algorithms
from algorithms import dapo_kl_on, dapo_l2_on, mdpo_on, ppo
from algorithms.core.rollout import Minibatch
from algorithms.core.types import Spaces
from algorithms.family import actor_value

SPACES = pytest.mark.parametrize("spaces", [CONTINUOUS, FINITE], ids=["continuous", "finite"])
N = 64


class Case:
    """Two policies a little apart, and transitions of the older one."""

    def __init__(self, name: str, spaces: Spaces) -> None:
        made = learner(name, spaces, initial_std=0.3)
        generator = torch.Generator().manual_seed(0)
        self.model, self.old, self.c = made.model, made.state.actor, made.coefficients
        self.new = self.old + 0.1 * torch.randn(self.old.shape, generator=generator)
        s = torch.randn(N, 4, generator=generator)
        a = torch.from_numpy(np.stack([made.act(row.numpy()) for row in s]).astype(np.float32))
        advantage, target = torch.randn(2, N, generator=generator)
        self.batch = Minibatch(s, a, advantage, target)
        self.noise = torch.randn(N, 2, generator=generator)
        self.pi, self.pi_old = (self.model.policy.distribution(p, s) for p in (self.new, self.old))

    @property
    def rho(self) -> Tensor:
        policy = self.model.policy
        return (
            policy.log_prob_at(self.pi, self.batch.action) - policy.log_prob_at(self.pi_old, self.batch.action)
        ).exp()


def eta(value: float) -> Tensor:
    return torch.tensor(value)


@SPACES
def test_dapo_kl_without_a_regulariser_is_mdpo(spaces: Spaces) -> None:
    """At τ = 0 and the same η both are (1/η) KL - E[ρ Â], to the last bit, and so are their gradients."""
    case = Case("dapo-kl-on", spaces)
    arguments = (case.old, case.batch, case.noise)

    def dapo(actor: Tensor, tau: float) -> Tensor:
        return dapo_kl_on.actor_loss(case.model, actor, *arguments, eta(0.3), torch.tensor(tau))[0]

    def mdpo(actor: Tensor) -> Tensor:
        return mdpo_on.actor_loss(case.model, actor, *arguments, eta(0.3))[0]

    assert torch.equal(dapo(case.new, 0.0), mdpo(case.new))
    torch.testing.assert_close(grad(dapo)(case.new, 0.0), grad(mdpo)(case.new))
    assert not torch.allclose(dapo(case.new, 0.1), mdpo(case.new))


@SPACES
def test_dapo_kl_by_hand(spaces: Spaces) -> None:
    case = Case("dapo-kl-on", spaces)
    tau, step = torch.tensor(0.2), eta(0.3)
    J, metrics = dapo_kl_on.actor_loss(case.model, case.new, case.old, case.batch, case.noise, step, tau)
    draw = case.model.policy.draw(case.pi, case.noise)
    phi = case.model.policy.expectation(draw, draw.log_prob).mean()
    kl = case.model.policy.kl(case.pi, case.pi_old).mean()
    assert kl > 1e-3
    torch.testing.assert_close(J, kl / 0.3 + 0.2 * phi - (case.rho * case.batch.advantage).mean())
    torch.testing.assert_close(metrics["entropy"], -phi)


def test_dapo_kl_is_the_dual_bregman_divergence(float64: None) -> None:
    """(τ/β) KL(π^θ ‖ π̂) with π̂ ∝ (π^k)^(1-β) exp(β A/τ), where every action is seen with its probability."""
    n, tau, step = 5, 0.3, 0.7
    beta = step * tau / (1 + step * tau)
    generator = torch.Generator().manual_seed(3)
    f_k, A, *fs = torch.randn(4, n, generator=generator)
    pi_k = torch.softmax(f_k, -1)
    target = torch.log_softmax((1 - beta) * pi_k.log() + beta * A / tau, -1)
    differences = []
    for pi in (torch.softmax(f, -1) for f in fs):
        kl_target = (pi * (pi.log() - target)).sum()
        kl_old = (pi * (pi.log() - pi_k.log())).sum()
        J = kl_old / step + tau * (pi * pi.log()).sum() - (pi_k * pi / pi_k * A).sum()
        differences.append((J - tau / beta * kl_target).item())
    assert differences[0] == pytest.approx(differences[1])


@SPACES
def test_dapo_l2_by_hand(spaces: Spaces) -> None:
    case = Case("dapo-l2-on", spaces)
    tau, step = torch.tensor(0.2), eta(0.3)
    J, _ = dapo_l2_on.actor_loss(case.model, case.new, case.old, case.batch, case.noise, step, tau)
    if spaces.choices:
        p, q = case.pi.prob, case.pi_old.prob
        squares = ((p - q) ** 2).sum((-2, -1)).mean()
        norm = (p**2).sum((-2, -1)).mean()
    else:  # by quadrature over actions
        u = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None, None]
        pi, old = (type(g)(*(x.double() for x in g)) for g in (case.pi, case.pi_old))
        p, q = (case.model.policy.log_densities(g, u).exp() for g in (pi, old))
        da = (u[1] - u[0]) / torch.cosh(u) ** 2
        squares, norm = (((p - q) ** 2 * da).sum((0, 2)).mean(), (p**2 * da).sum((0, 2)).mean())
    expected = squares / 2 / 0.3 + 0.2 * norm / 2 - (case.rho * case.batch.advantage).mean()
    torch.testing.assert_close(J.double(), expected.double(), rtol=1e-3, atol=1e-4)


@SPACES
def test_ppo_by_hand(spaces: Spaces) -> None:
    case = Case("ppo", spaces)
    J, metrics = ppo.actor_loss(case.model, case.new, case.old, case.batch, case.noise, case.c)
    surrogates = [
        min(rho * advantage, min(max(rho, 0.8), 1.2) * advantage)
        for rho, advantage in zip(case.rho.tolist(), case.batch.advantage.tolist(), strict=True)
    ]
    assert J.item() == pytest.approx(-sum(surrogates) / N, rel=1e-4)
    clipped = sum(not 0.8 <= rho <= 1.2 for rho in case.rho.tolist())
    assert 0 < clipped < N
    assert metrics["clipped"].item() == pytest.approx(clipped / N)


@SPACES
def test_all_begin_with_the_policy_gradient(spaces: Spaces) -> None:
    """At π^θ = π^k neither a proximity nor a clip has a gradient: without a regulariser all take PPO's first step."""
    case, zero = Case("ppo", spaces), torch.tensor(0.0)

    def loss(module: Any, *rest: Any) -> Tensor:
        return grad(lambda actor: module.actor_loss(case.model, actor, case.old, case.batch, case.noise, *rest)[0])(
            case.old
        )

    expected = loss(ppo, case.c)
    assert expected.abs().max() > 0
    torch.testing.assert_close(loss(mdpo_on, eta(0.3)), expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(loss(dapo_kl_on, eta(0.3), zero), expected, rtol=1e-3, atol=1e-5)


def test_the_step_is_annealed_once_a_policy_iteration() -> None:
    made = learner("mdpo-on", eta=2.0, anneal_steps=32 * 4)  # four rollouts
    state, found = made.state, []
    for _ in range(6):
        found.append(actor_value.step_size(made.model, state, made.coefficients).item())
        state = actor_value.refresh(state)
    assert found == pytest.approx([2, 1.5, 1, 0.5, 0.5, 0.5])
    constant = learner("mdpo-on", eta=2.0, anneal_steps=0)
    assert actor_value.step_size(constant.model, state, constant.coefficients).item() == 2


OPTIMUM = 0.5  # of each coordinate


@pytest.mark.parametrize("name", NAMES)
@SPACES
def test_a_bandit_is_solved(name: str, spaces: Spaces) -> None:
    """One-step episodes with reward -‖a - a*‖² (finite: 1 for every coordinate that chooses 2)."""
    choice = {"hidden_sizes": (32, 32), "rollout_steps": 256, "batch_size": 64, "learning_rate": 1e-3}
    fixed = {"anneal_steps": 0} if "anneal_steps" in algorithms.load(name).Config.model_fields else {}
    made = learner(name, spaces, **choice, **fixed)
    s = np.zeros(4)
    for _ in range(25 * 256):
        a = made.act(s)
        reward = float((a == 2).sum()) if spaces.choices else -float(((a - OPTIMUM) ** 2).sum())
        made.add(s, a, reward, s, True, False)
        made.update()
    best = made.policy_action(s)
    played = np.stack([made.act(s) for _ in range(200)])
    if spaces.choices:
        assert best.tolist() == [2, 2]
        assert (played == 2).mean() > 0.9
    else:
        assert best == pytest.approx([OPTIMUM, OPTIMUM], abs=0.1)
        assert np.abs(played - OPTIMUM).mean() < 0.25
