"""The tanh-Gaussian: density, sampling and KL, against quadrature, Monte Carlo and torch.distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_models import SPACES, build
from torch import Tensor

from algorithms.core.tanh_gaussian import LOG_STD_MAX, LOG_STD_MIN, Gaussian

pytestmark = pytest.mark.usefixtures("float64")


def gaussians(generator: torch.Generator, size: int) -> Gaussian:
    return Gaussian(
        torch.randn(size, SPACES.action, generator=generator),
        torch.randn(size, SPACES.action, generator=generator) * 0.5,
    )


def reference_log_prob(pi: Gaussian, u: Tensor) -> Tensor:
    normal = torch.distributions.Normal(pi.mean, pi.log_std.exp())
    squashed = torch.distributions.TransformedDistribution(normal, [torch.distributions.TanhTransform(cache_size=1)])
    return squashed.log_prob(torch.tanh(u)).sum(-1)


def test_log_prob_is_that_of_a_tanh_transformed_gaussian(generator: torch.Generator) -> None:
    policy = build("sac").policy
    pi = gaussians(generator, 50)
    draw = policy.draw(pi, torch.randn(50, SPACES.action, generator=generator))
    torch.testing.assert_close(draw.log_prob, reference_log_prob(pi, draw.pre_tanh), rtol=1e-8, atol=1e-8)
    assert (draw.action.abs() < 1).all()


def test_density_integrates_to_one() -> None:
    """∫ π(a) da = 1 over the action interval, one dimension, so the tanh Jacobian has the right sign and size."""
    policy = build("sac").policy
    u = torch.linspace(-12, 12, 200_001)[:, None]
    pi = Gaussian(torch.full((1, 1), 0.7), torch.full((1, 1), -0.3))
    density = policy.log_prob(pi, u).exp()
    assert torch.trapezoid(density, torch.tanh(u[:, 0])).item() == pytest.approx(1, abs=1e-6)


def test_log_prob_is_finite_far_in_the_tails() -> None:
    policy = build("sac").policy
    pi = Gaussian(torch.zeros(1, SPACES.action), torch.full((1, SPACES.action), LOG_STD_MAX))
    assert torch.isfinite(policy.log_prob(pi, torch.full((1, SPACES.action), 60.0))).all()


def test_kl_of_the_squashed_policies(generator: torch.Generator) -> None:
    """Identity 4: the closed form is the KL of the Gaussians, and the Monte Carlo KL of the tanh-Gaussians."""
    policy = build("sac").policy
    p, q = gaussians(generator, 6), gaussians(generator, 6)
    closed = policy.kl(p, q)
    normals = [torch.distributions.Normal(g.mean, g.log_std.exp()) for g in (p, q)]
    torch.testing.assert_close(closed, torch.distributions.kl_divergence(*normals).sum(-1))

    n = 200_000
    wide = [Gaussian(*(t.repeat(n, 1, 1) for t in g)) for g in (p, q)]
    draw = policy.draw(wide[0], torch.randn(n, 6, SPACES.action, generator=generator))
    samples = policy.log_prob(wide[0], draw.pre_tanh) - policy.log_prob(wide[1], draw.pre_tanh)
    error = samples.std(0) / math.sqrt(n)
    assert ((samples.mean(0) - closed).abs() < 5 * error).all()


def test_log_std_stays_within_its_bounds(generator: torch.Generator) -> None:
    model = build("sac")
    parameters = 50 * model.policy.network.init(generator)
    pi = model.policy.distribution(parameters, torch.randn(100, SPACES.observation, generator=generator))
    assert (pi.log_std >= LOG_STD_MIN).all()
    assert (pi.log_std <= LOG_STD_MAX).all()


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh", "silu", "gelu", "elu"])
def test_acting_is_drawing(generator: torch.Generator, activation: str, layer_norm: bool) -> None:
    """One action at a time in NumPy is what the batched tensors give."""
    policy = build("sac", activation=activation, layer_norm=layer_norm).policy
    parameters = policy.network.init(generator)
    weights = {name: tensor.numpy() for name, tensor in policy.network.unflatten(parameters).items()}
    observations = 3 * torch.randn(20, SPACES.observation, generator=generator)
    noise = np.random.default_rng(0).standard_normal((20, SPACES.action), dtype=np.float32)
    pi = policy.distribution(parameters, observations)
    own = np.random.default_rng(0)
    for s, mean, drawn in zip(
        observations, torch.tanh(pi.mean), policy.draw(pi, torch.from_numpy(noise)).action, strict=True
    ):
        torch.testing.assert_close(torch.from_numpy(policy.act(weights, s.numpy(), own)), drawn.double())
        torch.testing.assert_close(torch.from_numpy(policy.act(weights, s.numpy(), None)), mean)
