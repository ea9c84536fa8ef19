"""Finite actions: exact sums against brute force, every mirror map, and where an orientation gets stuck."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from small_models import SPACES, build
from torch.func import grad
from variants import FINITE

from algorithms import dapo_kl, dapo_kl_star, dapo_l2, dapo_tsallis, load, mdpo, sac
from algorithms.core.finite import Factored
from algorithms.core.hyperparameters import coefficients
from algorithms.core.mirror_maps import NegativeEntropy, SquaredL2, Tsallis
from algorithms.core.tanh_gaussian import Gaussian
from algorithms.core.types import Spaces
from algorithms.family.actor_critic import ActorCritic
from algorithms.family.proximal import finite_loss

pytestmark = pytest.mark.usefixtures("float64")

TAU, BETA = torch.tensor(0.3), torch.tensor(0.4)


def finite(name: str, spaces: Spaces = FINITE, **choice: object) -> Any:
    return ActorCritic.build(load(name).Config(**({"hidden_sizes": (16, 16)} | choice)), spaces)


class Case:
    """A model with two policies, critics and states."""

    def __init__(self, name: str, generator: torch.Generator, **choice: object) -> None:
        self.model = finite(name, **choice)
        self.actor, self.old = (self.model.policy.network.init(generator) for _ in range(2))
        self.critic = self.model.critic.network.init(generator)
        self.s = torch.randn(7, FINITE.observation, generator=generator)
        self.pi, self.pi_old = (self.model.policy.distribution(p, self.s) for p in (self.actor, self.old))

    def loss(self, module, actor=None):
        arguments = (self.critic, TAU, BETA, self.s, torch.zeros(18, 7, 2))
        return module.actor_loss(self.model, self.actor if actor is None else actor, self.old, *arguments)


def test_sums_over_coordinates_are_sums_over_joint_actions(generator: torch.Generator) -> None:
    """Expectation, variance, entropy and KL of a product, and Q's sum, by enumerating all n^A actions."""
    case = Case("sac", generator)
    policy, critic, s = case.model.policy, case.model.critic, case.s
    draw = policy.draw(case.pi, torch.zeros(7, 2))
    values = critic.of_draw(case.critic, s, draw)
    actions = list(itertools.product(range(3), repeat=2))
    p, q = (torch.stack([pi.prob[:, 0, a] * pi.prob[:, 1, b] for a, b in actions]) for pi in (case.pi, case.pi_old))
    reduced = torch.stack([critic.joint(case.critic, s, torch.tensor([a] * 7)) for a in actions])
    torch.testing.assert_close(p.sum(0), torch.ones(7))
    torch.testing.assert_close(policy.expectation(draw, values), (p * reduced).sum(0))
    mean = (p * reduced).sum(0)
    torch.testing.assert_close(policy.variance(draw, values), (p * (reduced - mean) ** 2).sum(0))
    torch.testing.assert_close(policy.log_mean_exp(draw, values), (p * reduced.exp()).sum(0).log())
    torch.testing.assert_close(policy.expectation(draw, draw.log_prob), (p * p.log()).sum(0))
    torch.testing.assert_close(policy.kl(case.pi, case.pi_old), (p * (p / q).log()).sum(0))
    tilted = p * (0.5 * reduced).exp()
    expected = (tilted * reduced).sum(0) / tilted.sum(0)
    torch.testing.assert_close(policy.tilted_mean(draw, 0.5 * values, values), expected)


def test_critics_share_their_choices(generator: torch.Generator) -> None:
    """The value of an action that was taken is that choice's value in what all actions are given."""
    case = Case("sac", generator)
    a = torch.randint(0, 3, (7, 2), generator=generator).double()
    one = case.model.critic.of_action(case.critic, case.s, a)
    assert one.shape == (2, 7)
    taken = case.model.policy.behaviour(case.pi, a, a)
    torch.testing.assert_close(taken.weight.sum(-1), torch.ones(7, 2))
    assert (taken.weight.gather(-1, a.long().unsqueeze(-1)) > 0.5).all()


def test_the_joint_minimum_is_of_one_critic_and_not_of_each_choice(generator: torch.Generator) -> None:
    """In each state the values of the critic that is least under the policy; the least of each choice is below it."""
    case = Case("sac", generator, critic_reduction="joint-min")
    policy, critic, s = case.model.policy, case.model.critic, case.s
    draw = policy.draw(case.pi, s)
    values = case.model.critic.network(case.critic, s).view(2, 7, 2, 3)
    means = torch.stack([policy.expectation(draw, one) for one in values])
    joint = critic.of_draw(case.critic, s, draw)
    torch.testing.assert_close(policy.expectation(draw, joint), means.amin(0))
    for state, chosen in enumerate(means.argmin(0)):
        assert torch.equal(joint[state], values[chosen, state])
    assert (policy.expectation(draw, values.amin(0)) < means.amin(0)).all()
    a = torch.randint(0, 3, (7, 2), generator=generator)
    assert torch.equal(critic.joint(case.critic, s, a), critic.of_action(case.critic, s, a).amin(0))


@pytest.mark.parametrize("choices", [2, 5])
def test_acting_follows_the_distribution(generator: torch.Generator, choices: int) -> None:
    model = finite("dapo-tsallis", Spaces(4, 3, choices))
    policy = model.policy
    parameters = policy.network.init(generator) * 3
    weights = {name: tensor.numpy() for name, tensor in policy.network.unflatten(parameters).items()}
    s = torch.randn(4, generator=generator)
    prob = policy.distribution(parameters, s[None]).prob[0].numpy()
    rng = np.random.default_rng(0)
    drawn = np.stack([policy.act(weights, s.numpy(), rng) for _ in range(4000)])
    for coordinate in range(3):
        shares = np.bincount(drawn[:, coordinate].astype(int), minlength=choices) / 4000
        np.testing.assert_allclose(shares, prob[coordinate], atol=0.03)
        assert (shares[prob[coordinate] == 0] == 0).all()
    np.testing.assert_array_equal(policy.act(weights, s.numpy(), None), prob.argmax(-1))
    explored = np.stack([policy.explore(rng) for _ in range(300)])
    assert set(explored.ravel().tolist()) == set(map(float, range(choices)))


def test_identity_1_and_2_exactly(generator: torch.Generator) -> None:
    """At β = 1 DAPO-KL's loss is SAC's; for β < 1 it is (τ/β) KL(π^θ ‖ π̂) up to a constant; MDPO's is the same."""
    case = Case("dapo-kl", generator, beta=0.4)
    J, _ = case.loss(dapo_kl)
    q = case.model.critic.of_draw(case.critic, case.s, None)
    log_target = (0.6 * case.pi_old.log_prob + 0.4 * q / TAU).log_softmax(-1)
    constant = (0.6 * case.pi_old.log_prob + 0.4 * q / TAU).logsumexp(-1).sum(-1).mean()
    kl = (case.pi.prob * (case.pi.log_prob - log_target)).sum((-2, -1)).mean()
    torch.testing.assert_close(J, TAU / 0.4 * (kl - constant))
    other = Case("mdpo", generator, beta=0.4)
    other.actor, other.old, other.critic, other.s = case.actor, case.old, case.critic, case.s
    torch.testing.assert_close(other.loss(mdpo)[0], J)
    one = Case("dapo-kl", generator, beta=1.0)
    noise = torch.zeros(7, 2)
    expected, _ = sac.actor_loss(one.model, one.actor, one.critic, TAU, one.s, noise)
    got, _ = dapo_kl.actor_loss(one.model, one.actor, one.old, one.critic, TAU, torch.tensor(1.0), one.s, noise)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("follows", ["target", "policy"])
def test_dapo_kl_star_has_the_other_gradient(generator: torch.Generator, follows: str) -> None:
    """π^θ - π̂ for the dual vector: exact, where DAPO-KL's is weighted by π^θ. And Φ(π̂), which τ follows."""
    case = Case("dapo-kl-star", generator, beta=0.4, temperature_follows=follows)
    q = case.model.critic.of_draw(case.critic, case.s, case.model.policy.draw(case.pi_old, TAU))
    target = (0.6 * case.pi_old.log_prob + 0.4 * q / TAU).softmax(-1)
    policy: Any = case.model.policy

    def of_dual(f):
        draws = policy.draw(case.pi_old, f)
        ell = policy.of_dual(f).log_prob
        return -policy.tilted_mean(draws, BETA * (q / TAU - draws.log_prob), ell).sum()

    torch.testing.assert_close(grad(of_dual)(case.pi.dual), case.pi.prob - target)
    scale = TAU / BETA if follows == "policy" else 1.0
    expected = -scale * (target * case.pi.log_prob).sum((-2, -1)).mean()
    phi = (target * target.log()).sum((-2, -1)).mean()
    torch.testing.assert_close(case.loss(dapo_kl_star), (expected, phi))


@pytest.mark.parametrize(
    ("name", "module", "mirror_map", "choice"),
    [
        ("dapo-l2", dapo_l2, SquaredL2(), {}),
        ("dapo-tsallis", dapo_tsallis, Tsallis(1.5), {}),
        ("dapo-tsallis", dapo_tsallis, Tsallis(0.7), {"q": 0.7}),
        ("dapo-tsallis", dapo_tsallis, NegativeEntropy(), {"q": 1.0}),
    ],
    ids=str,
)
class TestMirrorMaps:
    def test_yf_is_the_proximal_objective(self, generator, name, module, mirror_map, choice) -> None:
        """Differences of the loss between policies are those of (1/η) D_Φ + τ Φ - ⟨Q, π⟩."""
        case = Case(name, generator, beta=0.4, orientation="yf", **choice)
        assert case.model.policy.mirror_map == mirror_map
        q = case.model.critic.of_draw(case.critic, case.s, None)

        def objective(pi):
            D = mirror_map.divergence(pi.prob, case.pi_old.prob).sum(-1)
            phi = mirror_map.phi(pi.prob).sum(-1)
            return (TAU * 0.6 / 0.4 * D + TAU * phi - (q * pi.prob).sum((-2, -1))).mean()

        other = case.model.policy.network.init(generator)
        pi_other = case.model.policy.distribution(other, case.s)
        got = case.loss(module)[0] - case.loss(module, other)[0]
        torch.testing.assert_close(got, objective(case.pi) - objective(pi_other), rtol=1e-6, atol=1e-8)

    def test_fy_has_the_gradient_of_the_projection(self, generator, name, module, mirror_map, choice) -> None:
        case = Case(name, generator, beta=0.4, **choice)
        assert case.model.config.orientation == "fy"
        q = case.model.critic.of_draw(case.critic, case.s, None)
        y = 0.6 * mirror_map.gradient(case.pi_old.prob) + 0.4 * q / TAU
        gradient = grad(lambda f: mirror_map.dual_divergence(f, y).sum())(case.pi.dual)
        torch.testing.assert_close(gradient, case.pi.prob - mirror_map.project(y), rtol=1e-5, atol=1e-7)
        error = mirror_map.dual_divergence(case.pi.dual, y).sum(-1).mean()
        loss, parts = case.loss(module)
        torch.testing.assert_close(loss, error)
        torch.testing.assert_close(parts.followed, mirror_map.phi(mirror_map.project(y)).sum(-1).mean())
        old = Case(name, generator, beta=0.4, temperature_follows="policy", **choice)
        for part in ("actor", "old", "critic", "s"):
            setattr(old, part, getattr(case, part))
        loss, parts = old.loss(module)
        torch.testing.assert_close(loss, TAU / 0.4 * error)
        torch.testing.assert_close(parts.followed, parts.phi)


def test_where_yf_is_stuck_fy_goes_on() -> None:
    """y = (1, 0), f = (0, 2): π^θ is the worst action, D_Φ*(y, f) = 1 has no gradient there, D_Φ*(f, y) has (-1, 1)."""
    Phi, y, f = SquaredL2(), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    assert Phi.project(f).tolist() == [0.0, 1.0]
    assert Phi.dual_divergence(y, f).item() == pytest.approx(1.0)
    assert grad(lambda f: Phi.dual_divergence(y, f))(f).tolist() == [0.0, 0.0]
    assert grad(lambda f: Phi.dual_divergence(f, y))(f).tolist() == pytest.approx([-1.0, 1.0])


def test_tsallis_at_two_is_l2(generator: torch.Generator) -> None:
    """Finite and continuous: the same losses up to what does not depend on the policy."""
    l2, tsallis = Case("dapo-l2", generator, beta=0.4), Case("dapo-tsallis", generator, beta=0.4, q=2.0)
    tsallis.actor, tsallis.old, tsallis.critic, tsallis.s = l2.actor, l2.old, l2.critic, l2.s
    torch.testing.assert_close(tsallis.loss(dapo_tsallis)[0], l2.loss(dapo_l2)[0])
    policy = build("dapo-l2").policy
    p, b = (
        Gaussian(
            torch.randn(9, SPACES.action, generator=generator), torch.randn(9, SPACES.action, generator=generator) * 0.5
        )
        for _ in range(2)
    )
    torch.testing.assert_close(dapo_tsallis.overlap(p, b, 2.0), dapo_l2.inner(policy, p, b), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("name", "q"), [("dapo-l2", None), *(("dapo-tsallis", q) for q in (0.7, 1.0, 1.5, 2.0, 2.5))])
def test_a_uniform_policy_has_what_the_temperature_keeps(name: str, q: float | None) -> None:
    """Φ of uniform distributions is Φ̄ at their own entropy: another constant in one of the two would drive τ away."""
    n, choice = FINITE.choices, {} if q is None else {"q": q}
    model = finite(name, target_entropy=FINITE.action * math.log(n), **choice)
    uniform = model.policy.of_dual(torch.zeros(1, FINITE.action, n))
    wanted = load(name).phi_target(model, coefficients(model.config))
    torch.testing.assert_close(load(name).regulariser(model, uniform, None).squeeze(), wanted)
    torch.testing.assert_close(model.policy.mirror_map.phi(uniform.prob).sum(), wanted)


@pytest.mark.parametrize("q", [1.1, 1.5, 1.9])
def test_continuous_tsallis_integrals(generator: torch.Generator, q: float) -> None:
    """Gauss-Hermite against a fine quadrature of Σ_i ∫ p_i b_i^{q-1} da."""
    policy = build("dapo-tsallis", q=q).policy
    p, b = (
        Gaussian(
            torch.randn(4, SPACES.action, generator=generator), torch.randn(4, SPACES.action, generator=generator) * 0.3
        )
        for _ in range(2)
    )
    u = torch.linspace(-15, 15, 60_001)[:, None, None]
    densities = [policy.log_densities(g, u).exp() for g in (p, b)]
    integrand = densities[0] * densities[1] ** (q - 1) / torch.cosh(u) ** 2
    expected = torch.trapezoid(integrand, u[:, 0, 0], dim=0).sum(-1)
    torch.testing.assert_close(dapo_tsallis.overlap(p, b, q), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "choice", "spaces", "message"),
    [
        ("dapo-tsallis", {"q": 1.0}, SPACES, "q = 1: for continuous actions the integral"),
        ("dapo-tsallis", {"q": 0.5}, SPACES, "q = 0.5: for continuous actions the integral"),
        ("dapo-l2", {"orientation": "fy"}, SPACES, "orientation = fy needs finite actions"),
        ("dapo-l2", {"phi": "entropy"}, FINITE, "phi = entropy is for continuous actions"),
        ("sac", {"critic_reduction": "joint-min"}, SPACES, "joint-min is for finite actions: take min, or set bins"),
        ("dapo-l2", {"temperature_follows": "target"}, SPACES, "temperature_follows = target needs finite actions"),
        ("mdpo", {"faithful": True}, FINITE, "faithful = true is the authors' code for continuous actions"),
    ],
)
def test_what_an_action_space_does_not_admit_is_refused(name, choice, spaces, message) -> None:
    with pytest.raises(ValueError, match=message):
        load(name).Config(**choice).resolved(spaces)


def test_finite_actions_have_an_entropy_target_of_their_own() -> None:
    resolved = load("sac").Config().resolved(Spaces(4, 2, 5))
    assert resolved.target_entropy == pytest.approx(np.log(5))


def test_discrete_environments_have_defaults_of_their_own_and_bins_those_of_continuous_actions() -> None:
    names = ("learning_rate", "hidden_sizes", "learning_starts", "polyak", "critic_reduction", "critic_learning_rate")

    def defaults(spaces: Spaces, **choice: object) -> tuple[object, ...]:
        resolved = load("dapo-kl").Config(**choice).resolved(spaces)
        return tuple(getattr(resolved, name) for name in names)

    assert defaults(Spaces(4, 1, 2)) == (1e-3, (64, 64), 1000, 0.05, "mean", 1e-3)
    assert defaults(SPACES) == (3e-4, (256, 256), 5000, 0.005, "min", 3e-4)
    assert defaults(Spaces(17, 6, 7), bins=7) == (3e-4, (256, 256), 5000, 0.005, "joint-min", 3e-4)
    assert defaults(Spaces(4, 1, 2), learning_rate=0.1, polyak=1.0)[::3] == (0.1, 1.0)


def test_the_sparse_losses_are_exact_everywhere(generator: torch.Generator) -> None:
    """Also for dual vectors far apart, where sparse maps reach zero: finite values and gradients."""
    for name in ("dapo-l2", "dapo-tsallis"):
        case = Case(name, generator, beta=0.4)
        far = case.actor * 100
        assert isinstance(case.model.policy, Factored)
        arguments = (case.old, case.critic * 50, TAU, BETA, case.s, torch.zeros(7, 2))
        gradient = grad(lambda actor, a=arguments, m=case.model: finite_loss(m, actor, *a)[0])(far)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0
