"""DAPO-L2: its closed forms against quadrature, its loss by hand, and identity 3."""

from __future__ import annotations

import pytest
import torch
from small_models import SPACES, batch_of, build
from torch import Tensor
from torch.func import grad

from algorithms import dapo_l2
from algorithms.core.hyperparameters import coefficients
from algorithms.core.tanh_gaussian import Gaussian, TanhGaussian

pytestmark = pytest.mark.usefixtures("float64")


def gaussians(generator: torch.Generator, size: int) -> Gaussian:
    mean = 1.5 * torch.randn(size, SPACES.action, generator=generator)
    return Gaussian(mean, 0.6 * torch.randn(size, SPACES.action, generator=generator) - 0.7)


def integral(policy: TanhGaussian, p: Gaussian, q: Gaussian) -> Tensor:
    """∫ p_i(a) q_i(a) da by the trapezoidal rule in u, (B, A)."""
    u = torch.linspace(-25, 25, 20_001)[:, None, None].expand(-1, *p.mean.shape)
    values = (policy.log_densities(p, u) + policy.log_densities(q, u)).exp() / torch.cosh(u) ** 2
    return torch.trapezoid(values, dx=50 / 20_000, dim=0)


def test_inner_products_are_the_integrals(generator: torch.Generator) -> None:
    """Identity 4 for the squared norm."""
    policy = build("dapo-l2").policy
    p, q = gaussians(generator, 20), gaussians(generator, 20)
    for one, other in ((p, q), (p, p), (q, q)):
        torch.testing.assert_close(
            policy.log_overlap(one, other).exp(), integral(policy, one, other), rtol=1e-8, atol=0
        )
    torch.testing.assert_close(dapo_l2.inner(policy, p, q), integral(policy, p, q).sum(-1))


@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0])
def test_loss_by_hand(generator: torch.Generator, beta: float) -> None:
    """J = (1/η) ½ Σ_i ‖π_i - π^k_i‖² + τ ½ Σ_i ‖π_i‖² - Q with every integral by quadrature."""
    model = build("dapo-l2", beta=beta)
    policy = model.policy
    actor = policy.network.init(generator)
    old = actor + 0.1 * torch.randn(actor.shape, generator=generator)
    critic, tau = model.critic.network.init(generator), torch.tensor(0.3)
    s = torch.randn(8, SPACES.observation, generator=generator)
    noise = torch.randn(8, SPACES.action, generator=generator)
    J, parts = dapo_l2.actor_loss(model, actor, old, critic, tau, torch.tensor(beta), s, noise)
    pi, pi_k = policy.distribution(actor, s), policy.distribution(old, s)
    squares, mixed = integral(policy, pi, pi), integral(policy, pi, pi_k)
    phi = 0.5 * squares.sum(-1).mean()
    l2_old = 0.5 * (squares - 2 * mixed + integral(policy, pi_k, pi_k)).sum(-1).mean()
    q = model.critic.of_draw(critic, s, policy.draw(pi, noise)).mean()
    torch.testing.assert_close(J, 0.3 * (1 - beta) / beta * l2_old + 0.3 * phi - q)
    torch.testing.assert_close(parts.phi, phi)
    torch.testing.assert_close(parts.proximity, l2_old)


def test_identity_3_the_proximity_has_no_gradient_at_the_old_policy(generator: torch.Generator) -> None:
    model = build("dapo-l2")
    actor = model.policy.network.init(generator)
    critic, tau = model.critic.network.init(generator), torch.tensor(0.3)
    s = torch.randn(32, SPACES.observation, generator=generator)
    noise = torch.randn(32, SPACES.action, generator=generator)

    def gradient(beta: float) -> Tensor:
        return grad(
            lambda theta: dapo_l2.actor_loss(model, theta, actor, critic, tau, torch.tensor(beta), s, noise)[0]
        )(actor)

    torch.testing.assert_close(gradient(0.1), gradient(1.0))
    assert gradient(1.0).abs().max() > 1e-4


def test_narrow_policies_are_finite_and_pushed_back() -> None:
    """In float32, at the edges of what a network can say: the value is finite and its gradient widens the policy."""
    policy = build("dapo-l2").policy
    for mean in (0.0, 3.0, -30.0, 300.0):
        log_std = torch.tensor([[-5.0, -5.0, 2.0]], dtype=torch.float32)
        means = torch.full((1, 3), mean, dtype=torch.float32)

        def phi(log_std: Tensor, means: Tensor = means) -> Tensor:
            pi = Gaussian(means, log_std)
            return 0.5 * dapo_l2.inner(policy, pi, pi).sum()

        assert torch.isfinite(phi(log_std))
        gradient = grad(phi)(log_std)
        assert torch.isfinite(gradient).all()
        assert (gradient[0, :2] < 0).all()


def test_the_bound_continues_the_exponential() -> None:
    """Below the bound the exponential, above it its tangent: no jump in value or slope."""
    policy = build("dapo-l2").policy
    pi = Gaussian(torch.full((1, 3), 4.0), torch.full((1, 3), -1.0))
    log_inner = policy.log_overlap(pi, pi)
    assert (log_inner < dapo_l2.LARGEST_LOG).all()
    torch.testing.assert_close(dapo_l2.inner(policy, pi, pi), log_inner.exp().sum(-1))
    far = Gaussian(torch.full((1, 3), 9.0), torch.full((1, 3), -1.0))
    log_inner = policy.log_overlap(far, far)
    assert (log_inner > dapo_l2.LARGEST_LOG).all()
    tangent = torch.exp(torch.tensor(dapo_l2.LARGEST_LOG)) * (1 + log_inner - dapo_l2.LARGEST_LOG)
    torch.testing.assert_close(dapo_l2.inner(policy, far, far), tangent.sum(-1))


def test_critic_targets_hold_the_closed_form(generator: torch.Generator) -> None:
    """y = r + γ (1 - terminated)(Q̄ - τ ½ Σ_i ‖π_i‖²)."""
    model = build("dapo-l2", temperature=0.3)
    state = dapo_l2.init(model, generator)
    batch = batch_of(generator)
    noise = torch.randn(2, 32, SPACES.action, generator=generator)
    _, metrics = dapo_l2.critic_step(model, state, batch, noise, coefficients(model.config))
    pi = model.policy.distribution(state.actor, batch.next_observation)
    q = model.critic.of_draw(state.target_critic, batch.next_observation, model.policy.draw(pi, noise[0]))
    phi = 0.5 * integral(model.policy, pi, pi).sum(-1)
    y = batch.reward + 0.99 * batch.bootstrap * (q - 0.3 * phi)
    now = model.critic.of_action(state.critic, batch.observation, batch.action)
    torch.testing.assert_close(metrics["critic_loss"], 0.5 * ((now - y) ** 2).mean(-1).sum())


@pytest.mark.parametrize(("phi", "target"), [("l2", 1.5 * torch.e), ("entropy", 3.0)])
def test_what_an_automatic_temperature_keeps(phi: str, target: float) -> None:
    """Φ̄ = (d/2) e^{-H̄/d}, d e/2 at H̄ = -d; for the entropy -H̄."""
    model = build("dapo-l2", phi=phi)
    assert dapo_l2.phi_target(model, coefficients(model.config)).item() == pytest.approx(target)
