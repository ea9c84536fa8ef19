"""The diagnostics say what their names say."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import bandit
import pytest
import torch
from small_models import SPACES, batch_of, build
from torch import Tensor

from algorithms import dapo_l2, sac
from algorithms.core.hyperparameters import coefficients
from algorithms.core.tanh_gaussian import Gaussian
from algorithms.family.diagnostics import dual_errors, l2_errors, q_overestimation

pytestmark = pytest.mark.usefixtures("float64")


class Fixed:
    """A policy network that says the same in every state, however it is parametrised: (mean, raw log σ)."""

    def __init__(self, actions: int) -> None:
        self.actions = actions

    def __call__(self, parameters: Tensor, observation: Tensor) -> Tensor:
        return parameters.expand(len(observation), 2 * self.actions)


def fixed_model(l2: bool) -> tuple[Any, Tensor, Tensor]:
    """A bandit model, and the parameters of two different policies."""
    model = build("dapo-l2" if l2 else "dapo-kl")
    policy = dataclasses.replace(model.policy, network=Fixed(2))
    reward = bandit.tsallis_reward(policy, 2.0) if l2 else bandit.entropy_reward(policy)
    critic = bandit.Bandit(model.critic.network, "min", reward)
    actor, old = torch.tensor([0.1, 0.2, 0.1, 0.3]), torch.tensor([0.0, 0.4, 0.2, 0.2])
    return dataclasses.replace(model, policy=policy, critic=critic), actor, old


def measure(model: Any, actor: Tensor, old: Tensor, beta: float, l2: bool, samples: int = 4000) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(samples, 8, 2, generator=generator)
    state = SimpleNamespace(actor=actor, critic=None)
    function = l2_errors if l2 else dual_errors
    s, tau = torch.zeros(8, 2), torch.tensor(bandit.TAU)
    return {k: v.item() for k, v in function(model, state, old, s, noise, tau, torch.tensor(beta)).items()}


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_divergence_is_the_kl_to_the_target(beta: float) -> None:
    """π̂ ∝ (π^k)^(1-β) (π*)^β is a tanh-Gaussian here, its KL in closed form."""
    model, actor, old = fixed_model(l2=False)
    policy, s = model.policy, torch.zeros(1, 2)
    pi, pi_k = policy.distribution(actor, s), policy.distribution(old, s)
    precisions = [torch.exp(-2 * g.log_std) for g in (pi_k, bandit.OPTIMUM)]
    precision = (1 - beta) * precisions[0] + beta * precisions[1]
    mean = ((1 - beta) * precisions[0] * pi_k.mean + beta * precisions[1] * bandit.OPTIMUM.mean) / precision
    target = Gaussian(mean, -0.5 * precision.log())
    measured = measure(model, actor, old, beta, l2=False, samples=20_000)
    assert measured["divergence"] == pytest.approx(policy.kl(pi, target).item(), rel=0.03)
    assert measured["kl_old"] == pytest.approx(policy.kl(pi, pi_k).item())
    u = policy.draw(pi, torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1))).pre_tanh
    x = policy.log_prob(pi, u) - policy.log_prob(target, u)
    assert measured["dual_error"] == pytest.approx(0.5 * x.var().item(), rel=0.05)


def test_l2_divergence_is_the_distance_to_the_projection() -> None:
    """At β = 1 the target of the bandit is its optimum: ½ Σ ‖π - π*‖² in closed form; the dual error is no smaller."""
    model, actor, old = fixed_model(l2=True)
    policy = model.policy
    pi = policy.distribution(actor, torch.zeros(1, 2))
    best = Gaussian(*(part.to(torch.get_default_dtype()) for part in bandit.OPTIMUM))
    inner = dapo_l2.inner
    expected = 0.5 * (inner(policy, pi, pi) - 2 * inner(policy, pi, best) + inner(policy, best, best)).item()
    measured = measure(model, actor, old, 1.0, l2=True)
    assert measured["divergence"] == pytest.approx(expected, rel=0.02)
    assert measured["dual_error"] >= measured["divergence"] * 0.999
    assert measured["kl_old"] == pytest.approx(policy.kl(pi, policy.distribution(old, torch.zeros(1, 2))).item())


@pytest.mark.parametrize(("slope", "mean"), [(10.0, 0.0), (2.0, 1.0), (0.2, 1.0)])
def test_l2_divergence_where_the_projection_meets_the_bounds(slope: float, mean: float) -> None:
    """Q = slope · Σ a_i: π̂_i = [slope a/τ - λ]₊, a ramp up to the bound, and the distance by a fine rule in a."""
    model, _, _ = fixed_model(l2=True)
    model = dataclasses.replace(model, critic=dataclasses.replace(model.critic, reward=lambda a: slope * a.sum(-1)))
    actor = torch.tensor([mean, mean, 0.1, 0.1])
    a = torch.linspace(-1, 1, 200_001)[1:-1]
    pi = model.policy.distribution(actor, torch.zeros(1, 2))
    density = model.policy.log_densities(Gaussian(*(g[0, :1, None] for g in pi)), torch.atanh(a))[0].exp()
    y = slope * a / bandit.TAU
    low, high = y.min() - 1, y.max()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if torch.trapezoid((y - middle).clamp(min=0), a) > 1 else (low, middle)
    expected = 2 * 0.5 * torch.trapezoid((density - (y - low).clamp(min=0)) ** 2, a)
    assert measure(model, actor, actor, 1.0, l2=True)["divergence"] == pytest.approx(expected.item(), rel=0.03)


@pytest.mark.parametrize("l2", [False, True])
def test_nothing_is_off_at_the_target(l2: bool) -> None:
    model, _, old = fixed_model(l2)
    raw = torch.atanh((bandit.OPTIMUM.log_std[0].double() + 5) / 3.5 - 1)
    best = torch.cat([bandit.OPTIMUM.mean[0].double(), raw])
    measured = measure(model, best, old, 1.0, l2)
    assert abs(measured["divergence"]) < 1e-3
    assert abs(measured["dual_error"]) < 1e-3


@pytest.mark.parametrize("truncated", [True, False])
def test_overestimation_by_hand(generator: torch.Generator, truncated: bool) -> None:
    """Three steps, summed forwards: rewards, the next states' regularisers, and the critics after a truncation."""
    model = build("sac", temperature=0.3)
    state, c = sac.init(model, generator), coefficients(model.config)
    s = torch.randn(4, SPACES.observation, generator=generator)
    episode = batch_of(generator, 3)._replace(
        observation=s[:-1], next_observation=s[1:], bootstrap=torch.tensor([1.0, 1.0, float(truncated)])
    )
    noise = torch.randn(3, SPACES.action, generator=generator)
    measured = q_overestimation(model, state, sac.regulariser, episode, noise, c)
    draw = model.policy.draw(model.policy.distribution(state.actor, s[1:]), noise)
    r, phi = episode.reward, 0.3 * draw.log_prob
    last = r[2] + 0.99 * (model.critic.of_draw(state.critic, s[1:], draw)[2] - phi[2]) * truncated
    middle = r[1] + 0.99 * (last - phi[1])
    first = r[0] + 0.99 * (middle - phi[0])
    q = model.critic.of_action(state.critic, episode.observation, episode.action).amin(0)
    torch.testing.assert_close(measured["soft_return"], (first + middle + last) / 3)
    torch.testing.assert_close(measured["q_overestimation"], q.mean() - (first + middle + last) / 3)
