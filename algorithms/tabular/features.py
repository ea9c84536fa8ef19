"""Dual vectors of a linear function class, f_θ(s, ·) = Ψ(s, ·) θ: the step as DAPO makes it, and as AMPO does.

DAPO (Xiong, Fazel, Xiao 2024, arXiv 2410.01249) fits f_θ to the dual target y in the dual Bregman divergence D_Φ*;
AMPO (Alfano, Yuan, Rebeschini 2023, arXiv 2301.13139) by least squares. Both then act with π = ∇Φ*(f_θ). Equal class,
equal weights of the states; the budget is the number of linear systems of size d that are solved in each iteration.
"""

from __future__ import annotations

import torch
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap
from algorithms.tabular.inexact import Orientation
from algorithms.tabular.mdp import MDP
from algorithms.tabular.mirror_descent import Improve

_DAMPING = 1e-14
_MOST_SOLVES = 50


def random_features(mdp: MDP, rank: int, generator: torch.Generator) -> Tensor:
    """Ψ (M, S, A, rank), standard normal; rank S A is the exact class."""
    return torch.randn(*mdp.r.shape, rank, generator=generator, dtype=mdp.r.dtype)


def ampo(
    Phi: MirrorMap, psi: Tensor, rho: Tensor, *, modulo_constants: bool = False, advantages: float | None = None
) -> Improve:
    """θ = argmin Σ_s ρ(s) ‖f_θ(s, ·) - y(s, ·)‖², one solve. With `modulo_constants` f and y are centred per state.

    A policy does not see a constant per state, but least squares pays for it; AMPO as published does not centre.
    `advantages`: β of the step; the target then has A = Q - V_τ for Q, from the uniform policy on.
    """
    policy: Tensor | None = None

    def improve(y: Tensor) -> Tensor:
        nonlocal policy
        if advantages is not None:
            p = torch.full_like(y, 1 / y.shape[-1]) if policy is None else policy
            q = y - (1 - advantages) * Phi.gradient(p)  # β Q/τ
            y = y - ((p * q).sum(-1) - advantages * Phi.phi(p)).unsqueeze(-1)
        features, target = (centred(psi, -2), centred(y, -1)) if modulo_constants else (psi, y)
        weights = rho.unsqueeze(-1).expand_as(y)
        theta = solve(gram(features, weights * target), gram(features, weights.unsqueeze(-1) * features))
        policy = Phi.project(dual(psi, theta))
        return policy

    return improve


def dapo(
    Phi: MirrorMap, psi: Tensor, rho: Tensor, *, orientation: Orientation = "yf", solves: int = _MOST_SOLVES
) -> Improve:
    """θ = argmin Σ_s ρ(s) D_Φ*(y, f_θ) ("yf"), or D_Φ*(f_θ, y) ("fy"), by damped Gauss-Newton steps of one solve each.

    Both share the metric J = ∇²Φ*(f): the gradient in f is J (f - y), or ∇Φ*(f) - ∇Φ*(y), and Σ Ψᵀ J Ψ is the Hessian
    of "fy", which is convex, and of "yf" where f meets y. It begins from the last θ and keeps,
    in each MDP, only what lowers the loss; θ is all that a call leaves to the next.
    """
    theta = psi.new_zeros(len(psi), psi.shape[-1])

    def improve(y: Tensor) -> Tensor:
        nonlocal theta
        theta = fit(Phi, psi, rho, y, theta, orientation, solves)
        return Phi.project(dual(psi, theta))

    return improve


def fit(
    Phi: MirrorMap, psi: Tensor, rho: Tensor, y: Tensor, theta: Tensor, orientation: Orientation, solves: int
) -> Tensor:
    """θ (M, d) after at most so many damped Gauss-Newton steps; it ends early where no step helps by 1e-14."""

    def loss(theta: Tensor) -> Tensor:
        f = dual(psi, theta)
        each = Phi.dual_divergence(y, f) if orientation == "yf" else Phi.dual_divergence(f, y)
        return (rho * each).sum(-1)

    weights = rho.unsqueeze(-1)
    damping = torch.full_like(theta[:, :1], 1e-4)
    current = loss(theta)
    for _ in range(solves):
        f = dual(psi, theta)
        p = Phi.project(f)
        slope = Phi.slope(p)
        gradient = metric(slope, (f - y).unsqueeze(-1)).squeeze(-1) if orientation == "yf" else p - Phi.project(y)
        hessian = gram(psi, weights.unsqueeze(-1) * metric(slope, psi))
        step = solve(gram(psi, weights * gradient), hessian, damping)
        candidate = theta - step
        value = loss(candidate)
        better = value < current
        gain = torch.where(better, current - value, 0.0)
        theta = torch.where(better.unsqueeze(-1), candidate, theta)
        current = torch.where(better, value, current)
        damping = torch.where(better.unsqueeze(-1), damping / 10, damping * 10).clamp(1e-12, 1e8)
        if bool((better & (gain <= 1e-14)).all()):
            break
    return theta


def dual(psi: Tensor, theta: Tensor) -> Tensor:
    """f_θ, (M, S, A)."""
    f: Tensor = (psi.flatten(1, 2) @ theta.unsqueeze(-1)).view(psi.shape[:-1])
    return f


def centred(x: Tensor, axis: int) -> Tensor:
    """x minus its mean over the actions."""
    return x - x.mean(axis, keepdim=True)


def metric(slope: Tensor, x: Tensor) -> Tensor:
    """∇²Φ*(f) x = s x - s ⟨s, x⟩ / Σs in each state, for x (M, S, A, c) and s = `slope` (M, S, A)."""
    s = slope.unsqueeze(-1)
    return s * (x - (s * x).sum(-2, keepdim=True) / s.sum(-2, keepdim=True))


def gram(psi: Tensor, x: Tensor) -> Tensor:
    """Σ_{s,a} Ψᵀ x, (M, d) for x (M, S, A), (M, d, c) for x (M, S, A, c)."""
    columns = x.flatten(1, 2) if x.dim() == psi.dim() else x.flatten(1, 2).unsqueeze(-1)
    product = psi.flatten(1, 2).mT @ columns
    return product if x.dim() == psi.dim() else product.squeeze(-1)


def solve(g: Tensor, H: Tensor, damping: Tensor | float = _DAMPING) -> Tensor:
    """(H + λ mean(diag H) I)⁻¹ g, (M, d)."""
    scale = H.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True).clamp(min=1e-300)
    theta: Tensor = torch.linalg.solve(H + torch.diag_embed((damping * scale).expand_as(g)), g)
    return theta
