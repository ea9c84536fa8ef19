"""AMPO's and MAMPO's losses by hand, MAMPO's second reading (identity 10), and MDPO's (identity 2)."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import SPACES, batch_of, build
from torch.func import grad

from algorithms import ampo, dapo_kl, mampo, mdpo
from algorithms.core.hyperparameters import coefficients
from algorithms.core.tanh_gaussian import Gaussian
from algorithms.core.types import Spaces
from algorithms.family import dual_network
from algorithms.family.actor_critic import ActorCritic

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("fitted_at", ["mixed", "policy"])
@pytest.mark.parametrize(
    ("name", "reading", "kept"),
    [("ampo", "regularised", 0.7), ("ampo", "unregularised", 1.0), ("mampo", "network", 0.7)],
)
def test_dual_loss_by_hand(generator: torch.Generator, name: str, reading: str, kept: float, fitted_at: str) -> None:
    """E[(g_ω - (1-β) g^k - βQ)²], all actions of π^k, or the first half from the replay; unregularised g^k + βQ."""
    model = build(name, beta=0.3, temperature=0.2, reading=reading, fitted_at=fitted_at)
    module = {"ampo": ampo, "mampo": mampo}[name]
    state = module.init(model, generator)
    state = state._replace(
        old_dual=state.dual + 0.1 * torch.randn(state.dual.shape, generator=generator),
        old_actor=state.actor + 0.1 * torch.randn(state.actor.shape, generator=generator),
    )
    batch = batch_of(generator)
    noise = torch.randn(3, 32, SPACES.action, generator=generator)
    _, metrics = module.dual_step(model, state, batch, noise, coefficients(model.config))
    s, old = batch.observation, model.policy.distribution(state.old_actor, batch.observation)
    replayed = (torch.arange(32) < (16 if fitted_at == "mixed" else 0))[:, None]
    a = torch.where(replayed, batch.action, torch.tanh(old.mean + old.log_std.exp() * noise[1]))
    if name == "ampo":
        g_k = dual_network.network(model).joint(state.old_dual, s, a)
    else:
        normal = torch.distributions.Normal(old.mean, old.log_std.exp())
        g_k = 0.2 * (normal.log_prob(torch.atanh(a)) - torch.log(1 - a**2)).sum(-1)
    q = model.critic.of_action(state.critic, s, a).amin(0)
    g = dual_network.network(model).joint(state.dual, s, a)
    torch.testing.assert_close(metrics["dual_loss"], ((g - kept * g_k - 0.3 * q) ** 2).mean())


def test_projection_by_hand(generator: torch.Generator) -> None:
    """E[τ ℓ_θ - g_ω(s, a)] with the density and the network's layers written out."""
    model = build("ampo")
    state = ampo.init(model, generator)
    s = torch.randn(32, SPACES.observation, generator=generator)
    noise = torch.randn(32, SPACES.action, generator=generator)
    loss, _ = dual_network.projection_loss(model, state.actor, state.dual, torch.tensor(0.2), s, noise)
    pi = model.policy.distribution(state.actor, s)
    u = pi.mean + pi.log_std.exp() * noise
    ell = torch.distributions.Normal(pi.mean, pi.log_std.exp()).log_prob(u) - torch.log(1 - torch.tanh(u) ** 2)
    p = dual_network.network(model).network.unflatten(state.dual)
    h = torch.cat([s, torch.tanh(u)], -1)
    for layer in range(3):
        h = h @ p[f"{layer}.weight"][0] + p[f"{layer}.bias"][0, 0]
        h = torch.relu(h) if layer < 2 else h
    torch.testing.assert_close(loss, (0.2 * ell.sum(-1) - h[:, 0]).mean())


def test_network_error_is_that_of_the_fit(generator: torch.Generator) -> None:
    """½ Var over the actions of (g_ω - (1-β) g^k - βQ)/τ: by hand, and 0 where the network is its own target."""
    model = build("ampo", beta=0.3, temperature=0.2)
    state, c = ampo.init(model, generator), coefficients(model.config)
    state = state._replace(old_dual=state.dual + 0.1 * torch.randn(state.dual.shape, generator=generator))
    s = torch.randn(8, SPACES.observation, generator=generator)
    noise = torch.randn(20, 8, SPACES.action, generator=generator)
    measured = ampo.diagnose(model, state, state.old_actor, s, noise, c)["network_error"]
    errors = []
    for k in range(20):
        draw = model.policy.draw(model.policy.distribution(state.actor, s), noise[k])
        g, g_k = (dual_network.network(model).joint(dual, s, draw.action) for dual in (state.dual, state.old_dual))
        errors.append((g - 0.7 * g_k - 0.3 * model.critic.of_draw(state.critic, s, draw)) / 0.2)
    torch.testing.assert_close(measured, 0.5 * torch.stack(errors).var(0).mean())
    stays = c._replace(beta=torch.tensor(0.0))
    own = ampo.diagnose(model, state._replace(old_dual=state.dual), state.old_actor, s, noise, stays)
    assert own["network_error"].item() == pytest.approx(0, abs=1e-20)


def test_interleaved_is_one_step_of_each(generator: torch.Generator) -> None:
    model = build("ampo")
    state, batch, c = ampo.init(model, generator), batch_of(generator), coefficients(model.config)
    noise = torch.randn(3, 32, SPACES.action, generator=generator)
    both, _ = ampo.PHASES["both"](model, state, batch, noise, c)
    one, _ = ampo.PHASES["dual"](model, state, batch, noise, c)
    two, _ = ampo.PHASES["projection"](model, one, batch, noise, c)
    assert torch.equal(both.actor, two.actor)
    assert torch.equal(both.dual, two.dual)


class TestIdentity10:
    """MAMPO without a dual network: its loss is zero if and only if π^θ = π̂ on the actions, and sees no c(s)."""

    def case(self, generator: torch.Generator, offset: float = 0.0):
        """Q is chosen such that π̂ is the policy `actor`: βQ/τ = ℓ - (1-β) ℓ_k + c(s)."""
        model = build("mampo", reading="policy")
        actor, old = (model.policy.network.init(generator) for _ in range(2))
        s = torch.randn(16, SPACES.observation, generator=generator)
        noise = torch.randn(6, 16, SPACES.action, generator=generator)
        policy = model.policy

        class Critic:
            @staticmethod
            def of_draw(_parameters, s, draws):
                ell, ell_k = (policy.log_prob(policy.distribution(p, s), draws.pre_tanh) for p in (actor, old))
                return 0.25 / 0.4 * (ell - 0.6 * ell_k) + offset * s.sum(-1)

        fake = type("Model", (), {"policy": policy, "critic": Critic, "config": model.config})
        beta, tau = torch.tensor(0.4), torch.tensor(0.25)
        return lambda theta: mampo.policy_loss(fake, theta, old, None, tau, beta, s, noise), actor, old

    def test_zero_at_the_target(self, generator: torch.Generator) -> None:
        loss, target, old = self.case(generator, offset=5.0)
        assert loss(target).item() == pytest.approx(0, abs=1e-20)
        assert loss(old).item() > 1e-6
        assert grad(loss)(target).abs().max() < 1e-8

    def test_blind_to_a_constant_per_state(self, generator: torch.Generator) -> None:
        state = generator.get_state()
        loss, _, old = self.case(generator)
        generator.set_state(state)
        shifted, _, _ = self.case(generator, offset=100.0)
        torch.testing.assert_close(loss(old), shifted(old))


def test_plain_squares_are_the_centred_ones_and_a_proximity_of_the_value(generator: torch.Generator) -> None:
    """½ E x² = ½ Var x + ½ (τ KL(π^k ‖ π^θ) + β V^k)² in each state, V^k = E[Q - τ ℓ_k]: exact for finite actions."""
    spaces, tau, beta = Spaces(5, 1, 4), torch.tensor(0.3), torch.tensor(0.4)
    model = ActorCritic.build(ampo.Config(hidden_sizes=(16, 16), reading="squares"), spaces)
    actor, old = (model.policy.network.init(generator) for _ in range(2))
    critic = model.critic.network.init(generator)
    for s in torch.randn(4, 1, 5, generator=generator):  # one state at a time: a square of means is no mean of squares
        pi, pi_k = (model.policy.distribution(p, s) for p in (actor, old))
        p, q = pi_k.prob, model.critic.of_draw(critic, s, model.policy.draw(pi_k, s))
        x = tau * pi.log_prob - (1 - beta) * tau * pi_k.log_prob - beta * q
        variance = (p * (x - (p * x).sum()) ** 2).sum()
        value, kl = (p * (q - tau * pi_k.log_prob)).sum(), (p * (pi_k.log_prob - pi.log_prob)).sum()
        got = ampo.squares_loss(model, actor, old, critic, tau, beta, s, s)
        torch.testing.assert_close(got, 0.5 * variance + 0.5 * (tau * kl + beta * value) ** 2)


def test_without_a_regulariser_the_values_and_the_temperature_are_plain(generator: torch.Generator) -> None:
    """The critics' target has no entropy, and the temperature is fixed: where an automatic one would begin."""
    model = build("ampo", reading="unregularised")
    assert model.config.temperature == model.config.initial_temperature == 0.2
    pi = model.policy.distribution(model.policy.network.init(generator), torch.zeros(2, SPACES.observation))
    draw = model.policy.draw(pi, torch.ones(2, SPACES.action))
    assert ampo.regulariser(model, pi, draw).tolist() == [0, 0]
    assert build("ampo", reading="regularised").config.temperature == "auto"


@pytest.mark.parametrize("beta", [0.2, 0.7])
def test_identity_2_mdpo_is_dapo_kl_in_expectation(generator: torch.Generator, beta: float) -> None:
    """Same objective in reward units; DAPO-KL's closed form only removes the noise of the sampled log-densities."""
    model, other = build("mdpo", beta=beta), build("dapo-kl", beta=beta)
    actor = model.policy.network.init(generator)
    old = actor + 0.1 * torch.randn(actor.shape, generator=generator)
    critic = model.critic.network.init(generator)
    n = 200_000
    s = torch.randn(1, SPACES.observation, generator=generator).expand(n, -1)
    noise = torch.randn(n, SPACES.action, generator=generator)
    rest = (actor, old, critic, torch.tensor(0.3), torch.tensor(beta), s, noise)
    ours, draw = mdpo.actor_loss(model, *rest)
    theirs, _ = dapo_kl.actor_loss(other, *rest)
    pi, pi_k = (model.policy.distribution(p, s) for p in (actor, old))
    ratio = model.policy.log_prob(pi, draw.pre_tanh) - model.policy.log_prob(pi_k, draw.pre_tanh)
    error = 0.3 * (1 - beta) / beta * ratio.std().item() / math.sqrt(n)
    assert abs((ours - theirs).item()) < 5 * error
    # (τ/β) E[ℓ_θ - (1-β) ℓ_k - βQ/τ], the form of the family
    q = model.critic.of_draw(critic, s, draw)
    ell_k = model.policy.log_prob(pi_k, draw.pre_tanh)
    torch.testing.assert_close(ours, 0.3 / beta * (draw.log_prob - (1 - beta) * ell_k - beta * q / 0.3).mean())


def test_faithful_mdpo_by_hand(generator: torch.Generator) -> None:
    """Q₁ alone and 1e-3 (μ² + log² σ) in the policy's loss; Q bootstraps from V̄, V from the smaller Q."""
    model = build("mdpo", faithful=True, temperature=0.2)
    state, batch, c = mdpo.init(model, generator), batch_of(generator), coefficients(model.config)
    noise = torch.randn(2, 32, SPACES.action, generator=generator)
    s = batch.observation
    V = mdpo._value_network(model)
    draw = model.policy.draw(model.policy.distribution(state.actor, s), noise[0])
    y_v = model.critic.of_action(state.critic, s, draw.action).amin(0) - 0.2 * draw.log_prob
    y_q = batch.reward + 0.99 * batch.bootstrap * V(state.target_critic, batch.next_observation)[:, 0]
    new, metrics = mdpo.critic_step(model, state, batch, noise, c)
    q = model.critic.of_action(state.critic, s, batch.action)
    torch.testing.assert_close(metrics["critic_loss"], 0.5 * ((q - y_q) ** 2).mean(-1).sum())
    torch.testing.assert_close(metrics["value_loss"], 0.5 * ((V(state.critic_value, s)[:, 0] - y_v) ** 2).mean())
    torch.testing.assert_close(
        new.target_critic, state.target_critic + 0.005 * (new.critic_value - state.target_critic)
    )

    old = state.actor + 0.1 * torch.randn(state.actor.shape, generator=generator)
    J, draw = mdpo.actor_loss(model, state.actor, old, state.critic, torch.tensor(0.2), torch.tensor(0.2), s, noise[1])
    pi: Gaussian = model.policy.distribution(state.actor, s)
    ell_k = model.policy.log_prob(model.policy.distribution(old, s), draw.pre_tanh)
    q1 = model.critic.of_action(state.critic, s, draw.action)[0]
    penalty = 1e-3 * ((pi.mean**2).mean() + (pi.log_std**2).mean())
    torch.testing.assert_close(J, (draw.log_prob - 0.8 * ell_k - q1).mean() + penalty)
