"""DAPO's and AMPO's step with a linear function class."""

# ruff: noqa: N803, N806 (symbols as in the papers)
from __future__ import annotations

from itertools import islice

import pytest
import torch

from algorithms.core.mirror_maps import NegativeEntropy, SquaredL2
from algorithms.tabular.features import ampo, dapo, dual, fit, gram, random_features
from algorithms.tabular.mdp import garnet
from algorithms.tabular.mirror_descent import constant, mirror_descent
from algorithms.tabular.values import optimum


@pytest.fixture
def mdp():
    return garnet(6, 8, 4, 3, 0.9, torch.Generator().manual_seed(0))


def features(mdp, rank):
    return random_features(mdp, rank, torch.Generator().manual_seed(3))


@pytest.mark.parametrize("orientation", ["yf", "fy"])
def test_dapos_fit_is_stationary(mdp, orientation):
    """The gradient of Σ ρ D_Φ* in θ, by autograd, is zero; and least squares leaves a larger dual error."""
    Phi, psi = NegativeEntropy(), features(mdp, 10)
    y = torch.randn(mdp.r.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theta = fit(Phi, psi, mdp.rho, y, psi.new_zeros(6, 10), orientation, 200)

    def loss(theta):
        f = dual(psi, theta)
        each = Phi.dual_divergence(y, f) if orientation == "yf" else Phi.dual_divergence(f, y)
        return (mdp.rho * each).sum()

    assert torch.func.grad(loss)(theta).abs().max() < 1e-5
    weights = mdp.rho.unsqueeze(-1)
    squares = torch.linalg.solve(gram(psi, weights.unsqueeze(-1) * psi), gram(psi, weights * y))
    assert loss(theta) < loss(squares)


@pytest.mark.parametrize("Phi", [NegativeEntropy(), SquaredL2()], ids=["kl", "l2"])
def test_with_the_full_class_both_are_exact(mdp, Phi):
    """Rank S A: the iterates of exact mirror descent."""
    exact = list(islice(mirror_descent(mdp, Phi, constant(2.0), tau=0.3), 6))[-1]
    psi = features(mdp, 32)
    for improve in (dapo(Phi, psi, mdp.rho, orientation="fy"), ampo(Phi, psi, mdp.rho)):
        run = list(islice(mirror_descent(mdp, Phi, constant(2.0), tau=0.3, improve=improve), 6))[-1]
        torch.testing.assert_close(run.policy, exact.policy, atol=1e-4, rtol=1e-4)


def test_with_a_part_of_it_dapo_is_left_with_less(mdp):
    """Each has a floor, and the geometry of the error decides how high it is."""
    Phi, psi = NegativeEntropy(), features(mdp, 16)
    best = optimum(mdp, Phi, 0.1)
    gaps = {}
    for name, improve in {
        "dapo": dapo(Phi, psi, mdp.rho),
        "one solve": dapo(Phi, psi, mdp.rho, solves=1),
        "centred": ampo(Phi, psi, mdp.rho, modulo_constants=True),
        "ampo": ampo(Phi, psi, mdp.rho),
    }.items():
        *_, last = islice(mirror_descent(mdp, Phi, constant(5.0), tau=0.1, improve=improve), 31)
        gaps[name] = float((mdp.rho * (best.V - last.V)).sum(-1).median())
    assert 1e-9 < gaps["dapo"] < gaps["centred"] < gaps["ampo"]
    assert gaps["one solve"] < gaps["centred"]


def test_for_a_sparse_map_the_orientation_matters(mdp):
    """½ Σ p²: D_Φ*(y, f) has no gradient where the policy is zero; D_Φ*(f, y) finds the optimum in the class."""
    Phi, psi = SquaredL2(), features(mdp, 16)
    best = optimum(mdp, Phi, 0.1)
    gaps = {}
    for name, improve in {
        "yf": dapo(Phi, psi, mdp.rho),
        "yf, one solve": dapo(Phi, psi, mdp.rho, solves=1),
        "fy": dapo(Phi, psi, mdp.rho, orientation="fy"),
        "centred": ampo(Phi, psi, mdp.rho, modulo_constants=True),
    }.items():
        *_, last = islice(mirror_descent(mdp, Phi, constant(5.0), tau=0.1, improve=improve), 31)
        gaps[name] = float((mdp.rho * (best.V - last.V)).sum(-1).median())
    assert gaps["fy"] < 1e-9 < gaps["yf"] < gaps["centred"] < gaps["yf, one solve"]
