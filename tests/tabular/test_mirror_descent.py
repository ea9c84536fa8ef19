"""Exact and inexact policy mirror descent: the step, its identities, and the size of an error."""

# ruff: noqa: N806 (symbols as in the papers)
from __future__ import annotations

from itertools import islice

import pytest
import torch

from algorithms.core.mirror_maps import NegativeEntropy, mirror_map
from algorithms.tabular import bounds
from algorithms.tabular.inexact import controlled_error, error
from algorithms.tabular.mdp import garnet
from algorithms.tabular.mirror_descent import adaptive, constant, dual_target, mirror_descent
from algorithms.tabular.values import optimum

QS = (0.5, 1.0, 1.5, 2.0, 3.0)


@pytest.fixture
def mdp():
    return garnet(6, 8, 4, 3, 0.9, torch.Generator().manual_seed(0))


def values(mdp, seed=1):
    return torch.randn(mdp.r.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("tau", [0.0, 0.4])
@pytest.mark.parametrize("q", QS)
def test_a_step_maximises_the_proximal_objective(mdp, q, tau):
    """⟨Q, p⟩ - τ Φ(p) - D_Φ(p, π) / η, at the step and at policies around it."""
    Phi, Q = mirror_map(q), values(mdp)
    pi = torch.softmax(values(mdp, 2), -1)
    eta = torch.full((6,), 0.7, dtype=torch.float64)

    def objective(p):
        return (Q * p).sum(-1) - tau * Phi.phi(p) - Phi.divergence(p, pi) / 0.7

    step = Phi.project(dual_target(Phi, pi, Q, eta, tau))
    for seed in range(3, 8):
        other = torch.softmax(2 * values(mdp, seed), -1)
        for share in (1.0, 0.1, 1e-3):
            assert (objective((1 - share) * step + share * other) <= objective(step) + 1e-12).all()


@pytest.mark.parametrize("q", QS)
def test_the_three_point_inequality(mdp, q):
    """η⟨Q, p - π⁺⟩ ≤ D(p, π) - D(p, π⁺) - D(π⁺, π), with equality for KL."""
    Phi, Q, pi = mirror_map(q), values(mdp), torch.softmax(values(mdp, 2), -1)
    new = Phi.project(Phi.gradient(pi) + 0.7 * Q)
    for seed in range(3, 8):
        p = torch.softmax(values(mdp, seed), -1)
        left = 0.7 * (Q * (p - new)).sum(-1)
        right = Phi.divergence(p, pi) - Phi.divergence(p, new) - Phi.divergence(new, pi)
        assert (left <= right + 1e-9).all()
        if q == 1:
            torch.testing.assert_close(left, right)


def test_n_steps_in_closed_form(mdp):
    """Fixed Q: log π^n = (1-β)^n log π⁰ + (1 - (1-β)^n) Q/τ + c(s). At β = 1 the step is SAC's softmax(Q/τ)."""
    Phi, Q, pi, tau, beta = NegativeEntropy(), values(mdp), torch.softmax(values(mdp, 2), -1), 0.5, 0.2
    start, eta = pi, torch.full((6,), beta / (tau * (1 - beta)), dtype=torch.float64)
    for _ in range(5):
        pi = Phi.project(dual_target(Phi, pi, Q, eta, tau))
    kept = (1 - beta) ** 5
    torch.testing.assert_close(pi, torch.softmax(kept * start.log() + (1 - kept) * Q / tau, -1))
    infinite = torch.full((6,), float("inf"), dtype=torch.float64)
    torch.testing.assert_close(Phi.project(dual_target(Phi, start, Q, infinite, tau)), torch.softmax(Q / tau, -1))


@pytest.mark.parametrize("q", [1.0, 1.5, 2.0, 3.0])
def test_ampo_with_an_exact_class_needs_the_clipped_old_dual_vector(mdp, q):
    """f ← max(f - λ, ∇Φ(0)) + ηQ is exact mirror descent; f ← f + ηQ, dual averaging, only for the entropy."""
    Phi = mirror_map(q)
    pi = torch.full_like(mdp.r, 0.25)
    clipped, averaged = Phi.gradient(pi), Phi.gradient(pi)
    lowest = Phi.gradient(torch.zeros(1, dtype=torch.float64))
    worst = 0.0
    for seed in range(6):
        Q = values(mdp, seed)
        p = Phi.project(clipped)
        constant_ = (clipped - Phi.gradient(p)).gather(-1, p.argmax(-1, keepdim=True))
        clipped = torch.maximum(clipped - constant_, lowest) + 0.5 * Q
        averaged = averaged + 0.5 * Q
        pi = Phi.project(Phi.gradient(pi) + 0.5 * Q)
        torch.testing.assert_close(Phi.project(clipped), pi, rtol=1e-6, atol=1e-7)
        worst = max(worst, float((Phi.project(averaged) - pi).abs().max()))
    assert worst < 1e-9 if q == 1 else worst > 0.01


@pytest.mark.parametrize("q", QS)
def test_adaptive_steps_converge_at_the_rate_gamma(mdp, q):
    Phi, best = mirror_map(q), optimum(mdp)
    run = list(islice(mirror_descent(mdp, Phi, adaptive(Phi, 0.9)), 61))
    gaps = torch.stack([(best.V - iterate.V).amax(-1) for iterate in run])
    assert (gaps[60] <= 0.9**60 * (gaps[0] + 10)).all()
    slow = list(islice(mirror_descent(mdp, Phi, constant(1e-3)), 61))[-1]
    assert ((best.V - slow.V).amax(-1) > 0.9**60 * (gaps[0] + 10)).any()


@pytest.mark.parametrize("orientation", ["yf", "fy"])
@pytest.mark.parametrize("q", QS)
def test_the_error_is_as_large_as_was_asked(mdp, q, orientation):
    Phi = mirror_map(q)
    y = values(mdp)
    made = error(Phi, controlled_error(Phi, 1e-3, orientation)(y), Phi.project(y), orientation)
    assert (made <= 1e-3 + 1e-12).all()
    assert (made > 0.99e-3).all()


@pytest.mark.parametrize("q", [0.5, 1.0, 1.5, 2.0])
def test_strong_convexity_bounds_the_distance(q):
    """‖p - r‖₁² ≤ 2 c D_Φ(p, r), attained near the uniform distribution for q ≥ 1; and no bound for q > 2."""
    Phi, generator = mirror_map(q), torch.Generator().manual_seed(0)
    p, r = (torch.softmax(3 * torch.randn(5000, 4, generator=generator, dtype=torch.float64), -1) for _ in range(2))
    c = bounds.convexity(Phi, 4)
    assert ((p - r).abs().sum(-1) ** 2 <= 2 * c * Phi.divergence(p, r) + 1e-12).all()
    if q >= 1:
        u = torch.full((1, 4), 0.25, dtype=torch.float64)
        v = u + 1e-3 * torch.tensor([[1.0, 1, -1, -1]], dtype=torch.float64)
        assert float((v - u).abs().sum() ** 2) == pytest.approx(2 * c * float(Phi.divergence(v, u)), rel=1e-2)
    with pytest.raises(ValueError, match="not strongly convex"):
        bounds.convexity(mirror_map(3.0), 4)
