"""DAPO-KL's loss: hand-written values, and identities 1, 2 and 3 of the family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_models import SPACES, batch_of, build
from torch import Tensor
from torch.func import grad

from algorithms import dapo_kl, sac
from algorithms.core.hyperparameters import coefficients
from algorithms.family.actor_critic import ActorCritic

pytestmark = pytest.mark.usefixtures("float64")


class Case:
    """A model with two different policies, a critic, states and noise."""

    def __init__(self, model: ActorCritic, generator: torch.Generator, size: int = 32) -> None:
        self.model = model
        self.actor = model.policy.network.init(generator)
        self.old = self.actor + 0.1 * torch.randn(self.actor.shape, generator=generator)
        self.critic = model.critic.network.init(generator)
        self.tau = torch.tensor(0.3)
        self.s = torch.randn(size, SPACES.observation, generator=generator)
        self.noise = torch.randn(size, SPACES.action, generator=generator)

    def dapo(self, actor: Tensor, beta: float, old: Tensor | None = None) -> Tensor:
        old = self.old if old is None else old
        beta_ = torch.tensor(beta)
        return dapo_kl.actor_loss(self.model, actor, old, self.critic, self.tau, beta_, self.s, self.noise)[0]

    def sac(self, actor: Tensor) -> Tensor:
        return sac.actor_loss(self.model, actor, self.critic, self.tau, self.s, self.noise)[0]


def test_sac_loss_by_hand(generator: torch.Generator) -> None:
    """E[τ ℓ - Q] with each factor computed from the definition."""
    case = Case(build("sac"), generator)
    p = case.model.policy.network.unflatten(case.actor)
    h = torch.relu(case.s @ p["0.weight"][0] + p["0.bias"][0, 0])
    h = torch.relu(h @ p["1.weight"][0] + p["1.bias"][0, 0])
    mean, raw = (h @ p["2.weight"][0] + p["2.bias"][0, 0]).split(SPACES.action, -1)
    std = (-5 + 3.5 * (torch.tanh(raw) + 1)).exp()
    u = mean + std * case.noise
    log_prob = torch.distributions.Normal(mean, std).log_prob(u).sum(-1) - torch.log(1 - torch.tanh(u) ** 2).sum(-1)
    values = []
    q = case.model.critic.network.unflatten(case.critic)
    for i in range(2):
        h = torch.cat([case.s, torch.tanh(u)], -1)
        h = torch.relu(h @ q["0.weight"][i] + q["0.bias"][i])
        h = torch.relu(h @ q["1.weight"][i] + q["1.bias"][i])
        values.append((h @ q["2.weight"][i] + q["2.bias"][i])[:, 0])
    expected = (0.3 * log_prob - torch.minimum(*values)).mean()
    torch.testing.assert_close(case.sac(case.actor), expected)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_loss_by_hand(generator: torch.Generator, beta: float) -> None:
    """J = SAC's loss + τ (1 - β)/β KL(π^θ ‖ π^k)."""
    case = Case(build("dapo-kl", beta=beta), generator)
    policy = case.model.policy
    pi, old = policy.distribution(case.actor, case.s), policy.distribution(case.old, case.s)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(pi.mean, pi.log_std.exp()), torch.distributions.Normal(old.mean, old.log_std.exp())
    ).sum(-1)
    expected = case.sac(case.actor) + 0.3 * (1 - beta) / beta * kl.mean()
    torch.testing.assert_close(case.dapo(case.actor, beta), expected)


def test_identity_1_beta_one_is_sac(generator: torch.Generator) -> None:
    """At β = 1 the loss is SAC's, to the last bit, even where the old policy is infinitely far."""
    case = Case(build("dapo-kl", beta=1.0), generator)
    assert torch.equal(case.dapo(case.actor, 1.0), case.sac(case.actor))
    assert torch.equal(case.dapo(case.actor, 1.0, old=case.old * torch.inf), case.sac(case.actor))


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_identity_2_the_sampled_form(generator: torch.Generator, beta: float) -> None:
    """J = (τ/β) E[ℓ_θ - (1-β) ℓ_k - β Q/τ] in expectation; with c = τ/β and λ = τ it is MDPO's, c KL-weighted."""
    n = 100_000
    case = Case(build("dapo-kl", beta=beta), generator, size=1)
    case.s = case.s.expand(n, -1)
    case.noise = torch.randn(n, SPACES.action, generator=generator)
    policy: Any = case.model.policy
    tau = 0.3
    draw = policy.draw(policy.distribution(case.actor, case.s), case.noise)
    q = case.model.critic.of_draw(case.critic, case.s, draw)
    old = policy.log_prob(policy.distribution(case.old, case.s), draw.pre_tanh)
    samples = tau / beta * (draw.log_prob - (1 - beta) * old - beta * q / tau)
    error = samples.std() / n**0.5
    assert abs(case.dapo(case.actor, beta) - samples.mean()) < 5 * error


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_identity_3_at_the_old_policy_the_gradient_is_sacs(generator: torch.Generator, beta: float) -> None:
    case = Case(build("dapo-kl", beta=beta), generator)
    ours = grad(lambda actor: case.dapo(actor, beta, old=case.actor))(case.actor)
    torch.testing.assert_close(ours, grad(case.sac)(case.actor), rtol=1e-9, atol=1e-12)
    apart = grad(lambda actor: case.dapo(actor, beta))(case.actor)
    assert not torch.allclose(apart, grad(case.sac)(case.actor), rtol=1e-3)


def trained(beta: float, m: int, updates: int) -> Tensor:
    """The policy after some updates by the rules of the loop: refresh after every m-th."""
    generator = torch.Generator().manual_seed(0)
    model = build("dapo-kl", beta=beta, m=m)
    c: Any = coefficients(model.config)
    state = dapo_kl.init(model, generator)
    for update in range(updates):
        batch, noise = batch_of(generator), torch.randn(2, 32, SPACES.action, generator=generator)
        state, _ = dapo_kl.critic_step(model, state, batch, noise, c)
        state, _ = dapo_kl.policy_step(model, state, batch, noise, c)
        if (update + 1) % m == 0:
            state = dapo_kl.refresh(state)
    return state.actor


def test_identity_3_beta_acts_only_through_m() -> None:
    torch.testing.assert_close(trained(0.1, 1, 10), trained(0.9, 1, 10), rtol=1e-6, atol=1e-9)
    assert not torch.allclose(trained(0.1, 10, 10), trained(0.9, 10, 10), rtol=1e-3)
