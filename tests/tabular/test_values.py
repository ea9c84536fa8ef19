"""Finite MDPs and their exact values, against sums that are written out and against Gymnasium's own table."""

# ruff: noqa: N806 (symbols as in the papers)
from __future__ import annotations

from itertools import islice
from typing import Any

import gymnasium
import pytest
import torch

from algorithms.core.mirror_maps import mirror_map
from algorithms.tabular.mdp import chain, from_table, garnet, grid_world
from algorithms.tabular.mirror_descent import constant, mirror_descent
from algorithms.tabular.values import evaluate, greedy, optimum, visitation


@pytest.fixture
def mdp():
    return garnet(8, 6, 3, 2, 0.9, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", [lambda: chain(5, 0.9), lambda: grid_world(3, 0.9)], ids=["chain", "grid"])
def test_transitions_are_probabilities(make, mdp):
    for one in (make(), mdp):
        torch.testing.assert_close(one.P.sum(-1), torch.ones_like(one.r))
        assert one.P.min() >= 0
        assert 0 <= one.r.min() <= one.r.max() <= 1
        assert (one.rho > 0).all()
    assert ((mdp.P > 0).sum(-1) == 2).all()


def test_evaluation_is_the_discounted_sum(mdp):
    """Against 600 steps of the Bellman operator, regularised and not; and d is what weighs the rewards."""
    policy = torch.softmax(torch.randn(8, 6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64), -1)
    for Phi, tau in ((None, 0.0), (mirror_map(1.5), 0.3)):
        V = torch.zeros(8, 6, dtype=torch.float64)
        for _ in range(600):
            Q = mdp.r + 0.9 * torch.einsum("msat,mt->msa", mdp.P, V)
            V = (policy * Q).sum(-1) - (tau * Phi.phi(policy) if Phi else 0.0)
        values = evaluate(mdp, policy, Phi, tau)
        torch.testing.assert_close(values.V, V)
        torch.testing.assert_close(values.Q, Q)
    d = visitation(mdp, policy)
    torch.testing.assert_close(d.sum(-1), torch.ones(8, dtype=torch.float64))
    plain = evaluate(mdp, policy)
    torch.testing.assert_close((d * (policy * mdp.r).sum(-1)).sum(-1) / 0.1, (mdp.rho * plain.V).sum(-1))


@pytest.mark.parametrize("q", [1.0, 1.5, 2.0])
def test_the_optimum_solves_bellmans_equation(mdp, q):
    best = optimum(mdp)
    torch.testing.assert_close(best.V, best.Q.amax(-1))
    torch.testing.assert_close(best.policy, greedy(best.Q))
    Phi = mirror_map(q)
    soft = optimum(mdp, Phi, 0.2)
    torch.testing.assert_close(soft.V, 0.2 * Phi.conjugate(soft.Q / 0.2), atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(soft.policy, Phi.project(soft.Q / 0.2))


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_a_gymnasium_environment_through_its_table(name):
    """Mirror descent finds the optimum of value iteration on the table as it stands."""
    environment: Any = gymnasium.make(name)
    table = environment.unwrapped.P
    environment.close()
    mdp = from_table(table, 0.9)
    assert mdp.r.shape == (1, len(table) + 1, len(table[0]))
    torch.testing.assert_close(mdp.P.sum(-1), torch.ones_like(mdp.r))
    V = dict.fromkeys(table, 0.0)
    for _ in range(300):
        V = {
            s: max(sum(p * (r + 0.9 * V[t] * (not end)) for p, t, r, end in outcomes) for outcomes in choices.values())
            for s, choices in table.items()
        }
    rewards = [sum(p * r for p, _, r, _ in outcomes) for choices in table.values() for outcomes in choices.values()]
    low, high = min(0, *rewards), max(0, *rewards)  # 0 is the absorbing state's
    best = optimum(mdp)
    expected = (torch.tensor(list(V.values()), dtype=torch.float64) - low / 0.1) / (high - low)
    torch.testing.assert_close(best.V[0, :-1], expected, rtol=1e-9, atol=1e-9)
    *_, last = islice(mirror_descent(mdp, mirror_map(1.0), constant(1e6)), 60)
    torch.testing.assert_close(last.V, best.V)
