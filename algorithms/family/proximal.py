"""What DAPO with a mirror map other than the negative entropy shares: the state, the step, and finite actions exactly.

Source: Xiong, Fazel, Xiao 2024, arXiv 2410.01249, for the dual Bregman divergence [P]; its orientation is our setting.
Symbols: f the policy's dual vector, π^θ = ∇Φ*(f), π^k the policy frozen for m updates, Q the minimum of the critics,
τ the temperature, β = ητ/(1 + ητ), y = (1 - β) ∇Φ(π^k) + β Q/τ the dual target, π̂ = ∇Φ*(y).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from algorithms.core.adam import Adam, adam_step
from algorithms.core.finite import Simplices
from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.types import Batch, Draw, Metrics, Spaces
from algorithms.family.actor_critic import ActorCritic, temperature_step


class ProximalConfig(Hyperparameters):
    """The hyperparameters of DAPO with these mirror maps."""

    beta: float = hyperparameter(
        0.5, "weight of the values against the old policy, ητ/(1 + ητ); 1 leaves the proximity out", "β", gt=0, le=1
    )
    m: int = hyperparameter(1, "policy updates between refreshes of the old policy; β acts only if m > 1", "m", ge=1)
    orientation: Literal["auto", "yf", "fy", "squares"] = hyperparameter(
        "auto",
        "error of the dual vector f against its target y: yf: D_Φ*(y, f), the proximal objective; fy: D_Φ*(f, y), "
        "whose gradient does not vanish before f fits; squares: ½‖f - y‖²; auto: fy for finite actions, else yf",
    )
    temperature_follows: Literal["auto", "policy", "target"] = hyperparameter(
        "auto",
        "whose Φ an automatic temperature keeps: the policy's, or its target's, π̂; with target the loss is without the "
        "factor τ/β; auto: target for orientation = fy, else policy",
    )

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        """The orientation that auto stands for; the dual vector of a continuous policy is no output of its network."""
        known, orientation = super().resolved(spaces), self.orientation
        if orientation == "auto":
            orientation = "fy" if spaces.choices else "yf"
        follows = self.temperature_follows
        if follows == "auto":
            follows = "target" if orientation == "fy" else "policy"
        for name, value, usual in (("orientation", orientation, "yf"), ("temperature_follows", follows, "policy")):
            if value != usual and not spaces.choices:
                raise ValueError(f"{name} = {value} needs finite actions: leave it out, or set bins")
        return known.model_copy(update={"orientation": orientation, "temperature_follows": follows})


class State(NamedTuple):
    """Everything that changes during training."""

    actor: Tensor
    actor_adam: Adam
    old_actor: Tensor  # π^k
    critic: Tensor
    critic_adam: Adam
    target_critic: Tensor
    log_temperature: Tensor
    temperature_adam: Adam


class Parts(NamedTuple):
    """What a loss computed on its way."""

    draw: Draw
    phi: Tensor  # 0-dim, mean Φ(π^θ)
    proximity: Tensor  # 0-dim, mean D_Φ(π^θ, π^k)
    followed: Tensor  # 0-dim, the mean Φ that an automatic temperature keeps


ActorLoss = Callable[..., tuple[Tensor, Parts]]  # (model, actor, old_actor, critic, τ, β, s, noise)


def init(model: ActorCritic, generator: torch.Generator) -> State:
    """Fresh networks; the old policy is the first one."""
    core = model.init(generator)
    return State(**core, old_actor=core["actor"].clone())


def policy_step(
    model: ActorCritic,
    state: State,
    batch: Batch,
    noise: Tensor,
    c: Any,
    actor_loss: ActorLoss,
    phi_target: Tensor,
) -> tuple[State, Metrics]:
    """One gradient step on the policy and on an automatic temperature, π^k held fixed."""
    tau = model.temperature(state, c)

    def loss(actor: Tensor) -> tuple[Tensor, Parts]:
        return actor_loss(model, actor, state.old_actor, state.critic, tau, c.beta, batch.observation, noise[1])

    gradient, (value, parts) = grad_and_value(loss, has_aux=True)(state.actor)
    actor, adam = adam_step(state.actor, gradient, state.actor_adam, c.learning_rate)
    entropy = -model.policy.expectation(parts.draw, parts.draw.log_prob).mean()
    new = state._replace(actor=actor, actor_adam=adam)
    new, metrics = temperature_step(model, new, parts.followed, phi_target, c)
    own = {"phi": parts.phi, "proximity": parts.proximity, "eta": c.beta / (tau * (1 - c.beta))}
    return new, {"actor_loss": value, "entropy": entropy, **own, **metrics}


def finite_loss(
    model: Any,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Parts]:
    """τ/β E_s of the error of f against y, summed over the action's coordinates: exact, in reward units.

    D_Φ*(y, f) = Φ*(y) + Φ(π^θ) - ⟨y, π^θ⟩ has no gradient where π^θ is zero; that of D_Φ*(f, y) in f is π^θ - π̂ [D].
    With the latter π^θ tends to E[π̂] where π̂ changes with the critics, and Φ(π^θ) ≤ E Φ(π̂) stays below its target
    however small τ is: there τ follows Φ(π̂), and τ/β, which would stop π^θ as τ falls, is left out [D].
    """
    Phi, pi, old = model.policy.mirror_map, *(model.policy.distribution(p, s) for p in (actor, old_actor))
    f, y = pi.dual, target(model, old, critic, tau, beta, s, noise)
    if model.config.orientation == "squares":
        D = 0.5 * ((f - y) ** 2).sum(-1)
    else:
        D = Phi.dual_divergence(y, f) if model.config.orientation == "yf" else Phi.dual_divergence(f, y)
    phi, proximity = Phi.phi(pi.prob).sum(-1).mean(), Phi.divergence(pi.prob, old.prob).sum(-1).mean()
    draw, error = model.policy.draw(pi, noise), D.sum(-1).mean()
    if model.config.temperature_follows == "policy":
        return tau / beta * error, Parts(draw, phi, proximity, phi)
    return error, Parts(draw, phi, proximity, Phi.phi(Phi.project(y)).sum(-1).mean())


def target(model: Any, old: Simplices, critic: Tensor, tau: Tensor, beta: Tensor, s: Tensor, noise: Tensor) -> Tensor:
    """y = (1 - β) ∇Φ(π^k) + β Q/τ, (B, A, n), without gradient."""
    q = model.critic.of_draw(critic, s, model.policy.draw(old, noise))
    y: Tensor = (1 - beta) * model.policy.mirror_map.gradient(old.prob) + beta * q / tau
    return y.detach()


def finite_errors(
    model: Any, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, tau: Tensor, beta: Tensor
) -> Metrics:
    """Exact means over s: `divergence` Σ_i D_Φ(π^θ_i, π̂_i), `dual_error` Σ_i D_Φ*(y_i, f_i), `kl_old` KL(π^θ ‖ π^k)"""
    Phi, (pi, old) = model.policy.mirror_map, (model.policy.distribution(p, s) for p in (state.actor, old_actor))
    y = target(model, old, state.critic, tau, beta, s, noise)
    return {
        "divergence": Phi.divergence(pi.prob, Phi.project(y)).sum(-1).mean(),
        "dual_error": Phi.dual_divergence(y, pi.dual).sum(-1).mean(),
        "kl_old": model.policy.kl(pi, old).mean(),
    }
