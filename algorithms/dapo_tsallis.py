"""DAPO-Tsallis: dual approximation policy optimisation with the negative Tsallis entropy of index q as mirror map.

Source: the first open question of Xiong, Fazel, Xiao 2024, arXiv 2410.01249: other mirror maps. Φ(p) = Σ (p^q - p)
/(q (q - 1)) is the negative entropy as q → 1 and, up to a constant, the squared norm at q = 2. For continuous actions
Φ(π) = Σ_i (∫ π_i^q da - 1)/(q (q - 1)), summed over the action's dimensions [R], 1 < q <= 2: the integrals are
Gauss-Hermite sums [D]. For finite actions the policy is ∇Φ* of the network's output, and everything is exact.
Symbols: π^k the policy frozen for m updates, Q the minimum of the critics, τ the temperature, η the mirror-descent
step, β = ητ/(1 + ητ).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.mirror_maps import MirrorMap, mirror_map, of_package
from algorithms.core.tanh_gaussian import Gaussian
from algorithms.core.types import Batch, Distribution, Draw, Metrics, Spaces
from algorithms.family import actor_critic, proximal
from algorithms.family.actor_critic import ActorCritic
from algorithms.family.proximal import Parts, ProximalConfig, State

# Of a Gauss-Hermite sum: nodes, and weights that sum to one. Lists, as the compiler traces no NumPy.
NODES, WEIGHTS = (part.tolist() for part in np.polynomial.hermite_e.hermegauss(32))
LOG_WEIGHTS = [math.log(weight / sum(WEIGHTS)) for weight in WEIGHTS]
LARGEST_LOG = 10.0  # of an integral: beyond, the exponential goes on along its tangent


class Config(ProximalConfig):
    """The hyperparameters of DAPO-Tsallis."""

    q: float = hyperparameter(
        1.5, "index of the Tsallis entropy; continuous actions: above 1, up to 2", "q", ge=0.5, le=3
    )

    mirror: str = hyperparameter(
        "tsallis", "mirror map: tsallis, or for finite actions one that a package offers (docs/plugin.md), whatever q"
    )

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        """Raises ValueError for what continuous actions do not admit, and for an unknown mirror map."""
        if self.mirror != "tsallis":
            of_package(self.mirror)
            if not spaces.choices:
                raise ValueError(f"mirror = {self.mirror}: for continuous actions only tsallis is defined; or set bins")
            known = super().resolved(spaces)
            # Φ̄ of a given entropy has no form that holds for every map.
            fixed = {"temperature": self.initial_temperature} if self.temperature == "auto" else {}
            return known.model_copy(update=fixed)
        if not spaces.choices and not 1 < self.q <= 2:
            raise ValueError(
                f"q = {self.q:g}: for continuous actions the integral of π^q needs 1 < q <= 2; "
                "use dapo-kl for q = 1, or set bins"
            )
        return super().resolved(spaces)

    def mirror_map(self) -> MirrorMap:
        """Φ(p) = Σ (p^q - p)/(q (q - 1)), or that of a package."""
        return mirror_map(self.q) if self.mirror == "tsallis" else of_package(self.mirror)


init = proximal.init
noise_samples = actor_critic.noise_samples
schedule = actor_critic.schedule
refresh = actor_critic.refresh


def overlap(p: Gaussian, b: Gaussian, q: float) -> Tensor:
    """Σ_i ∫ p_i b_i^{q-1} da, (B,), of tanh-Gaussian densities: ∫ N_p N_b^{q-1} cosh^{2(q-1)} du in each dimension.

    The product of N_p and N_b^{q-1} is a Gaussian N(m, v) times a constant; under it cosh^{2(q-1)} is summed by
    Gauss-Hermite with 32 nodes. In log space, finite however narrow the densities become.
    """
    k = q - 1
    p_var, b_var = torch.exp(2 * p.log_std), torch.exp(2 * b.log_std) / k  # N_b^k is a Gaussian of variance σ²/k
    total = p_var + b_var
    m = (p.mean * b_var + b.mean * p_var) / total
    std = torch.sqrt(p_var * b_var / total)
    x, log_w = (torch.tensor(part, dtype=m.dtype, device=m.device) for part in (NODES, LOG_WEIGHTS))
    u = m.unsqueeze(-1) + std.unsqueeze(-1) * x  # (B, A, 32)
    log_cosh = u.abs() + torch.log1p(torch.exp(-2 * u.abs())) - math.log(2)
    log_sum = torch.logsumexp(2 * k * log_cosh + log_w, -1)
    # ∫ N_p N_b^k du: N_b^k = (2π σ_b²)^{(1-k)/2} k^{-1/2} times the density of variance σ_b²/k.
    log_scale = 0.5 * (1 - k) * (math.log(2 * math.pi) + 2 * b.log_std) - 0.5 * math.log(k)
    log_normal = -0.5 * (p.mean - b.mean) ** 2 / total - 0.5 * torch.log(2 * math.pi * total)
    log_value = log_sum + log_scale + log_normal
    beyond = (log_value - LARGEST_LOG).clamp(min=0)
    return (torch.exp(log_value.clamp(max=LARGEST_LOG)) + math.exp(LARGEST_LOG) * beyond).sum(-1)


def regulariser(model: Any, pi: Distribution, draw: Draw) -> Tensor:  # noqa: ARG001
    """Φ(π_s), (B,)."""
    q = model.config.q
    if model.spaces.choices:
        phi: Tensor = model.policy.mirror_map.phi(pi.prob).sum(-1)
    else:
        phi = (overlap(pi, pi, q) - model.spaces.action) / (q * (q - 1))
    return phi


def critic_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the critics, whose targets hold -τ Φ(π_{s'})."""
    return actor_critic.critic_step(model, state, batch, noise, c, regulariser)


def actor_loss(
    model: ActorCritic,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Parts]:
    """J(θ) = E_s[(1/η) D_Φ(π^θ, π^k) + τ Φ(π^θ) - E_{a~π^θ} Q(s, a)], 1/η = τ (1 - β)/β [D].

    D_Φ(p, b) = Σ_i ∫ (p^q - q p b^{q-1} + (q - 1) b^q)/(q (q - 1)). For finite actions the dual Bregman divergence in
    the orientation asked for.
    """
    if model.spaces.choices:
        return proximal.finite_loss(model, actor, old_actor, critic, tau, beta, s, noise)
    q, policy = model.config.q, model.policy
    pi, old = policy.distribution(actor, s), policy.distribution(old_actor, s)
    draw = policy.draw(pi, noise)
    value = policy.expectation(draw, model.critic.of_draw(critic, s, draw)).mean()
    phi = regulariser(model, pi, draw).mean()
    D = overlap(pi, pi, q) - q * overlap(pi, old, q) + (q - 1) * overlap(old, old, q)
    proximity = (D / (q * (q - 1))).mean()
    return tau * (1 - beta) / beta * proximity + tau * phi - value, Parts(draw, phi, proximity, phi)


def phi_target(model: ActorCritic, c: Any) -> Tensor:
    """Φ̄, which an automatic temperature keeps: of d uniform distributions of entropy H̄/d each [R]."""
    d, q = model.spaces.action, model.config.q
    entropy: Tensor = c.target_entropy
    return -entropy if q == 1 else d * torch.expm1((1 - q) * entropy / d) / (q * (q - 1))


def policy_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy and on an automatic temperature, π^k held fixed."""
    return proximal.policy_step(model, state, batch, noise, c, actor_loss, phi_target(model, c))


PHASES = {"policy": policy_step}


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """For finite actions how far π^θ is from π̂, and f from y; for continuous ones the distance to the old policy."""
    if model.spaces.choices:
        return proximal.finite_errors(model, state, old_actor, s, noise, model.temperature(state, c), c.beta)
    pi, old = (model.policy.distribution(p, s) for p in (state.actor, old_actor))
    return {"kl_old": model.policy.kl(pi, old).mean()}
