"""How fast policy mirror descent converges, step by step: the lines of `dapo theory rates`."""

# ruff: noqa: N803, N806 (symbols as in the papers)
from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap, NegativeEntropy, mirror_map
from algorithms.tabular import bounds
from algorithms.tabular.features import ampo, dapo, random_features
from algorithms.tabular.inexact import controlled_error
from algorithms.tabular.mdp import MDP, garnet
from algorithms.tabular.mirror_descent import (
    Improve,
    Step,
    adaptive,
    constant,
    geometric,
    greedy_divergence,
    mirror_descent,
)
from algorithms.tabular.values import optimum
from dapo_cli.theory.statements import MAPS

STATES, ACTIONS, SUCCESSORS, GAMMA = 20, 5, 5, 0.9
ITERATIONS = 50
ETA = 0.1  # the first of growing steps
TAU, REGULARISED_ETA = 0.1, 5.0  # of the runs with features: β = 1/3
RANKS = (25, 50, 75, 100)  # of 100 state-action pairs
ERRORS = (1e-8, 1e-6, 1e-4)
ERROR_GAMMA = 0.5  # at 0.9 the bound's floor would lie above every value
SOLVES = 20  # Gauss-Newton steps that DAPO takes where it is given them

PAIRS = (("kl", "kl"), ("l2", "l2"), ("kl", "l2"), ("l2", "kl"))  # mirror map of the fit, and of the projection
PAIRED_ETA, PAIRED_RATIO = 5.0, 1.3

EXACT, ERROR, RANK, EQUAL = "growing steps", "an error of ε in every step", "DAPO by rank", "equal class"
PAIRED, PAIRED_GROWING = "two mirror maps, fixed step", "two mirror maps, growing steps"
PANELS = (EXACT, ERROR, RANK, EQUAL, PAIRED, PAIRED_GROWING)


class Line(NamedTuple):
    """One algorithm on M MDPs; `settings` are what tells it from others of the same `algo`."""

    panel: str
    label: str
    algo: str
    settings: dict[str, Any]
    gap: Tensor  # (K + 1, M): V*(ρ) - V^k(ρ), or the norm over states that the bound is about
    value: Tensor  # (K + 1, M): V^k(ρ)
    bound: Tensor | None = None  # (K + 1, M)


def lines(instances: int, seed: int) -> list[Line]:
    """Every line of the figure, on the same MDPs."""
    mdp = garnet(instances, STATES, ACTIONS, SUCCESSORS, GAMMA, torch.Generator().manual_seed(seed))
    return [*_exact(mdp), *_errors(mdp._replace(gamma=ERROR_GAMMA)), *_features(mdp, seed), *_pairs(mdp)]


def _exact(mdp: MDP) -> Iterator[Line]:
    """T3 for each mirror map."""
    best = optimum(mdp)
    for name in ("kl", "l2", "tsallis-1.5"):
        Phi = mirror_map(MAPS[name])
        start = next(mirror_descent(mdp, Phi, constant(ETA)))
        of = bounds.start(mdp, Phi, best, start.policy, start.V)
        gap, value = _run(mdp, Phi, geometric(ETA, of.mismatch / (of.mismatch - 1)))
        bound = torch.stack([bounds.linear(k, ETA, mdp.gamma, of) for k in range(ITERATIONS + 1)])
        yield Line(EXACT, name, f"pmd-{name}", {"step": "growing", "eta": ETA}, gap, value, bound)


def _errors(mdp: MDP) -> Iterator[Line]:
    """T7 with adaptive steps, whose own part of the bound dies as γ^k."""
    best, Phi = optimum(mdp), NegativeEntropy()
    for epsilon in (0.0, *ERRORS):
        improve = controlled_error(Phi, epsilon, "yf") if epsilon else None
        run = islice(mirror_descent(mdp, Phi, adaptive(Phi, mdp.gamma), improve=improve), ITERATIONS + 1)
        start = next(run)
        gap = [(best.V - start.V).abs().amax(-1)]
        floor = bounds.floor(Phi, epsilon, mdp.gamma, ACTIONS)
        value, unrolled, bound = [(mdp.rho * start.V).sum(-1)], gap[0], [gap[0] + floor]
        for old, new in pairwise(chain([start], run)):
            unrolled = bounds.one_step(unrolled, mdp.gamma, greedy_divergence(Phi, old.policy, old.Q) / old.eta)
            gap.append((best.V - new.V).abs().amax(-1))
            value.append((mdp.rho * new.V).sum(-1))
            bound.append(unrolled + floor)
        label, settings = f"ε = {epsilon:g}", {"step": "adaptive", "epsilon": epsilon}
        yield Line(ERROR, label, "pmd-kl-error", settings, torch.stack(gap), torch.stack(value), torch.stack(bound))


def _pairs(mdp: MDP) -> Iterator[Line]:
    """AMPO's open question, in the exact class: y = ∇Φ(π^k) + η Q of one map, projected with ∇Ψ* of another.

    For Φ ≠ Ψ a fixed point need not be optimal, however many iterations; a step that grows outweighs ∇Φ(π^k).
    """
    growing = geometric(ETA, torch.full_like(mdp.r[:, 0, 0], PAIRED_RATIO))
    for panel, step, words in (
        (PAIRED, constant(PAIRED_ETA), {"step": "constant", "eta": PAIRED_ETA}),
        (PAIRED_GROWING, growing, {"step": "growing", "eta": ETA}),
    ):
        for fit, projection in PAIRS:
            run = _run(mdp, mirror_map(MAPS[fit]), step, improve=mirror_map(MAPS[projection]).project)
            yield Line(panel, f"{fit}, {projection}", f"pmd-{fit}-{projection}", words, *run)


def _features(mdp: MDP, seed: int) -> Iterator[Line]:
    """DAPO by the rank of its features, and beside AMPO with the same features and as many linear systems."""
    Phi = NegativeEntropy()
    psi = {rank: random_features(mdp, rank, torch.Generator().manual_seed(seed + rank)) for rank in RANKS}

    def line(panel: str, label: str, algo: str, improve: Improve, **settings: Any) -> Line:
        run = _run(mdp, Phi, constant(REGULARISED_ETA), TAU, improve)
        return Line(panel, label, algo, {"step": "constant", "eta": REGULARISED_ETA, "tau": TAU, **settings}, *run)

    for rank in RANKS:
        improve = dapo(Phi, psi[rank], mdp.rho, solves=SOLVES)
        yield line(RANK, f"rank {rank}", "pmd-dapo-kl", improve, rank=rank, solves=SOLVES)
    rank = RANKS[-2]
    features, rho = psi[rank], mdp.rho
    yield line(EQUAL, "AMPO, 1 solve", "pmd-ampo-kl", ampo(Phi, features, rho), rank=rank, solves=1)
    beta = REGULARISED_ETA * TAU / (1 + REGULARISED_ETA * TAU)
    improve = ampo(Phi, features, rho, advantages=beta)
    yield line(EQUAL, "AMPO, advantages, 1 solve", "pmd-ampo-advantages-kl", improve, rank=rank, solves=1)
    improve = ampo(Phi, features, rho, modulo_constants=True)
    yield line(EQUAL, "AMPO, centred, 1 solve", "pmd-ampo-centred-kl", improve, rank=rank, solves=1)
    for solves in (1, SOLVES):
        improve = dapo(Phi, features, rho, solves=solves)
        text = f"DAPO, {solves} solve{'s' * (solves > 1)}"
        yield line(EQUAL, text, "pmd-dapo-kl", improve, rank=rank, solves=solves)


def _run(
    mdp: MDP, Phi: MirrorMap, step: Step, tau: float = 0.0, improve: Improve | None = None
) -> tuple[Tensor, Tensor]:
    """δ_k and V^k(ρ), (K + 1, M) each."""
    best = (mdp.rho * optimum(mdp, Phi, tau).V).sum(-1)
    run = islice(mirror_descent(mdp, Phi, step, tau=tau, improve=improve), ITERATIONS + 1)
    value = torch.stack([(mdp.rho * iterate.V).sum(-1) for iterate in run])
    return best - value, value
