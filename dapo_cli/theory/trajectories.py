"""Runs of policy mirror descent, and what each theorem says of their iterations, true and with a part broken."""

# ruff: noqa: N803, N806 (symbols as in the papers)

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap
from algorithms.tabular import bounds
from algorithms.tabular.inexact import ORIENTATIONS, Orientation, controlled_error, error
from algorithms.tabular.mdp import MDP
from algorithms.tabular.mirror_descent import (
    Iterate,
    Step,
    adaptive,
    constant,
    dual_target,
    geometric,
    greedy_divergence,
    mirror_descent,
)
from algorithms.tabular.values import Optimum, optimum

ITERATIONS = 60
ETAS = (0.01, 1.0, 1e4)
ALMOST_GREEDY = 1e6  # the step of the inexact runs: what is left of the gap is then their error
EPSILONS = (1e-4, 1e-2)
BETAS = (0.1, 0.5, 0.9, 1.0)
TAUS = (0.1, 1.0)


class Check(NamedTuple):
    """measured ≤ bound at iteration k, elementwise; `control` says what is broken where that should not hold.

    `epsilon`: the bound has a term for the error of a step, so that it is of the inexact part of its statement.
    """

    statement: str
    k: int
    measured: Tensor
    bound: Tensor
    control: str = ""
    epsilon: bool = False


def checks(mdp: MDP, Phi: MirrorMap, statements: frozenset[str]) -> Iterator[Check]:
    """Everything that these statements (names such as T1) say of these MDPs; others may come along."""
    best = optimum(mdp)
    steps: list[tuple[Step, float | None]] = [(constant(eta), eta) for eta in ETAS]
    for step, eta in [*steps, (adaptive(Phi, mdp.gamma), None)]:
        yield from _exact(mdp, Phi, best, step, eta)
    yield from _backwards(mdp, Phi, best)
    if "T3" in statements:
        yield from _linear(mdp, Phi, best)
    if "T5" in statements:
        for epsilon in EPSILONS:
            for orientation in ORIENTATIONS:
                yield from _inexact(mdp, Phi, best, epsilon, orientation)
    if "T6" in statements:
        for tau in TAUS:
            yield from _regularised(mdp, Phi, tau)


def _exact(mdp: MDP, Phi: MirrorMap, best: Optimum, step: Step, eta: float | None) -> Iterator[Check]:
    """T1, T4, T7 for any step, T2 for a constant one."""
    run = islice(mirror_descent(mdp, Phi, step), ITERATIONS + 1)
    start = next(run)
    of = bounds.start(mdp, Phi, best, start.policy, start.V)
    unrolled = without = _gap(best, start)
    for k, (old, new) in enumerate(pairwise(chain([start], run)), 1):
        gap, gap_old = _gap(best, new), _gap(best, old)
        term = greedy_divergence(Phi, old.policy, old.Q) / old.eta
        unrolled, without = bounds.one_step(unrolled, mdp.gamma, term), bounds.one_step(without, mdp.gamma, 0.0)
        yield Check("T1", k, best.V - new.V, best.V - old.V)
        yield Check("T4", k, gap, bounds.one_step(gap_old, mdp.gamma, term))
        yield Check("T4", k, gap, bounds.one_step(gap_old, mdp.gamma, 0.0), "without D/η")
        yield Check("T7", k, gap, unrolled)
        yield Check("T7", k, gap, without, "without D/η")
        if eta is not None:
            delta = _delta(mdp, best, new)
            yield Check("T2", k, delta, bounds.sublinear(k, eta, mdp.gamma, of))
            yield Check("T2", k, delta, bounds.sublinear(k, eta, mdp.gamma, of, start_term=False), "without D*₀")
            yield Check("T2", k, delta, bounds.sublinear(k, eta, mdp.gamma, of, tail=False), "without 1/(1−γ)²")


def _backwards(mdp: MDP, Phi: MirrorMap, best: Optimum) -> Iterator[Check]:
    """T1's control: a step along −Q."""
    for k, (old, new) in enumerate(pairwise(islice(mirror_descent(mdp, Phi, constant(-1.0)), 6)), 1):
        yield Check("T1", k, best.V - new.V, best.V - old.V, "a step along −Q")


def _linear(mdp: MDP, Phi: MirrorMap, best: Optimum) -> Iterator[Check]:
    """T3, from a small first step and from a large one."""
    for eta in (1e-3, 1.0):
        start = next(mirror_descent(mdp, Phi, constant(eta)))
        of = bounds.start(mdp, Phi, best, start.policy, start.V)
        run = mirror_descent(mdp, Phi, geometric(eta, of.mismatch / (of.mismatch - 1)))
        for k, new in islice(enumerate(run), 1, ITERATIONS + 1):
            delta = _delta(mdp, best, new)
            yield Check("T3", k, delta, bounds.linear(k, eta, mdp.gamma, of))
            yield Check("T3", k, delta, bounds.linear(k, eta, mdp.gamma, of, start_term=False), "without D*₀")


def _inexact(mdp: MDP, Phi: MirrorMap, best: Optimum, epsilon: float, orientation: Orientation) -> Iterator[Check]:
    """T5 and T7 with the error that each step made, by measurement, and ε the largest so far."""
    run = mirror_descent(mdp, Phi, constant(ALMOST_GREEDY), improve=controlled_error(Phi, epsilon, orientation))
    start = next(run)
    unrolled, largest = _gap(best, start), torch.zeros_like(start.eta)
    actions = mdp.r.shape[-1]
    for k, (old, new) in enumerate(pairwise(chain([start], islice(run, ITERATIONS))), 1):
        exact = Phi.project(dual_target(Phi, old.policy, old.Q, old.eta, 0.0))
        made = error(Phi, new.policy, exact, orientation).amax(-1).clamp(min=0)
        largest = torch.maximum(largest, made)
        term = greedy_divergence(Phi, old.policy, old.Q) / old.eta
        gap, exactly = _gap(best, new), bounds.one_step(_gap(best, old), mdp.gamma, term)
        yield Check("T5", k, gap, exactly + bounds.harm(Phi, made, mdp.gamma, actions), epsilon=True)
        yield Check("T5", k, gap, exactly, "without ε")
        unrolled = bounds.one_step(unrolled, mdp.gamma, term)
        floor = bounds.floor(Phi, largest, mdp.gamma, actions)
        yield Check("T7", k, gap, unrolled + floor, epsilon=True)
        yield Check("T7", k, gap, unrolled, "without ε")


def _regularised(mdp: MDP, Phi: MirrorMap, tau: float) -> Iterator[Check]:
    """T6 for several β."""
    best = optimum(mdp, Phi, tau)
    for beta in BETAS:
        eta = beta / (tau * (1 - beta)) if beta < 1 else float("inf")
        run = mirror_descent(mdp, Phi, constant(eta), tau=tau)
        start = next(run)
        C = bounds.constant_of(best, start.policy, start.Q, beta, tau)
        for k, new in enumerate(islice(run, ITERATIONS)):
            measured = (best.Q - new.Q).abs().amax((-2, -1))
            yield Check("T6", k + 1, measured, bounds.regularised(k, beta, mdp.gamma, C))
            if beta == min(BETAS):  # at SAC's rate a small step must be too slow
                yield Check(
                    "T6", k + 1, measured, mdp.gamma ** (k + 1) * C, f"with SAC's rate γ^{{k+1}} at β = {beta:g}"
                )


def _gap(best: Optimum, iterate: Iterate) -> Tensor:
    """‖V* - V^k‖, (M,)."""
    return (best.V - iterate.V).abs().amax(-1)


def _delta(mdp: MDP, best: Optimum, iterate: Iterate) -> Tensor:
    """δ_k = V*(ρ) - V^k(ρ), (M,)."""
    return (mdp.rho * (best.V - iterate.V)).sum(-1)
