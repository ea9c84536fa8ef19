"""The runs of a sweep: how many, in which order, each valid; and what makes a sweep impossible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.sweeps.definition import grid, sweep_file
from dapo_cli.sweeps.definition.drafts import judged

Expand = Callable[..., list[RunConfig]]
HEAD = 'algo = ["dapo-kl", "sac"]\nenv = "Pendulum-v1"\nseeds = 2\nsteps = 1e3\n'


@pytest.fixture
def expand(tmp_path: Path) -> Expand:
    """The runs of a sweep file with this text, with options typed beside it."""

    def runs(text: str, **typed: Any) -> list[RunConfig]:
        path = tmp_path / "main.toml"
        path.write_text(text)
        return grid.expand(sweep_file.read(path, sweep_file.typed_layer(**typed), tmp_path))

    return runs


def said(configs: list[RunConfig], *names: str) -> list[tuple[Any, ...]]:
    """Algorithm, seed, and these values of each run."""
    return [(c.settings.algo, c.settings.seed, *(judged(c).get(name) for name in names)) for c in configs]


def test_seeds_come_first_then_the_order_written(expand: Expand) -> None:
    runs = expand(HEAD + "[dapo-kl]\nbeta = [0.5, 0.1]\nm = [1, 10]\n")
    one = [("dapo-kl", 0.5, 1), ("dapo-kl", 0.5, 10), ("dapo-kl", 0.1, 1), ("dapo-kl", 0.1, 10), ("sac", None, None)]
    assert said(runs, "beta", "m") == [(algo, seed, beta, m) for seed in (0, 1) for algo, beta, m in one]
    assert {config.settings.steps for config in runs} == {1000}
    assert all(config.hyperparameters.model_dump()["target_entropy"] == -1.0 for config in runs)  # of the environment
    assert runs[0].origins == {"steps": "file", "beta": "file", "m": "file"}
    assert grid.varying(runs) == ["beta", "m"]
    assert grid.label(runs[0], ["beta", "m"]) == "dapo-kl on Pendulum-v1 with beta = 0.5, m = 1"


def test_a_list_valued_setting_varies_over_lists_of_lists(expand: Expand) -> None:
    assert {c.hyperparameters.hidden_sizes for c in expand(HEAD + "hidden_sizes = [64, 32]\n")} == {(64, 32)}
    runs = expand(HEAD + "hidden_sizes = [[64], [64, 32]]\n")
    assert {c.hyperparameters.hidden_sizes for c in runs} == {(64,), (64, 32)}
    assert len(runs) == 8


def test_tables_presets_and_what_is_typed(expand: Expand) -> None:
    text = (
        'algo = ["dapo-kl", "sac"]\nenv = ["Pendulum-v1", "CartPole-v1"]\nseeds = 1\ngamma = 0.9\npreset = "cleanrl"\n'
        '["CartPole-*"]\npreset = "zoo"\n[dapo-kl]\nbeta = [0.1, 0.2]\n[dapo-kl."CartPole-*"]\nbeta = 0.3\n'
    )
    runs = expand(text, assignments=["sac.gamma=0.8,0.7"])
    assert [(c.settings.algo, c.settings.env[:4], judged(c).get("beta"), c.hyperparameters.gamma) for c in runs] == [
        ("dapo-kl", "Pend", 0.1, 0.9),
        ("dapo-kl", "Pend", 0.2, 0.9),
        ("dapo-kl", "Cart", 0.3, 0.9),
        ("sac", "Pend", None, 0.8),
        ("sac", "Pend", None, 0.7),
        ("sac", "Cart", None, 0.8),
        ("sac", "Cart", None, 0.7),
    ]
    assert [c.origins.get("critic_learning_rate") for c in runs[:3]] == ["preset", "preset", None]  # cleanrl's, zoo's
    assert [c.hyperparameters.critic_learning_rate for c in runs[:3]] == [1e-3] * 3  # the last as in a discrete one
    assert runs[3].origins["gamma"] == "command line"


def test_zipped_values_go_side_by_side(expand: Expand) -> None:
    runs = expand(HEAD + "[[vary]]\nzip = true\ngamma = [0.9, 0.8]\npolyak = [0.1, 0.2]\n")
    assert [(c.hyperparameters.gamma, judged(c)["polyak"]) for c in runs[:2]] == [(0.9, 0.1), (0.8, 0.2)]
    assert len(runs) == 8


def test_values_under_a_filter(expand: Expand) -> None:
    text = HEAD + "[dapo-kl]\nm = [1, 10]\n[[vary]]\nwhere = \"algo = 'dapo-kl' and m > 1\"\nbeta = [0.1, 0.9]\n"
    runs = expand(text, seeds="1")
    assert said(runs, "m", "beta") == [
        ("dapo-kl", 0, 1, 0.5),  # its default
        ("dapo-kl", 0, 10, 0.1),
        ("dapo-kl", 0, 10, 0.9),
        ("sac", 0, None, None),
    ]


def test_values_under_a_filter_replace_a_list(expand: Expand) -> None:
    text = HEAD + "[dapo-kl]\nm = [1, 10]\nbeta = [0.1, 0.9]\n[[vary]]\nwhere = 'm > 1'\nbeta = [0.2, 0.3]\n"
    runs = expand(text, seeds="1", algo="dapo-kl")
    assert [(m, beta) for _, _, m, beta in said(runs, "m", "beta")] == [(1, 0.1), (1, 0.9), (10, 0.2), (10, 0.3)]


def test_the_example_of_the_documentation_is_a_sweep(expand: Expand) -> None:
    document = Path(__file__).parents[2] / "docs" / "sweeps.md"
    text = document.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    runs = expand(text, seeds="1")
    learning_rates, cheetah, hopper = 2, 3 + 3, 2  # dapo-kl: with m = 1 three β and with m = 10 three others; β fixed
    assert len(runs) == learning_rates * (cheetah + hopper) + 2  # SAC at one learning rate in two environments


def test_exclusions(expand: Expand) -> None:
    text = HEAD.replace("steps", 'exclude = ["beta > 0.4 and m = 1", "algo = \'sac\' and seed = 1"]\nsteps', 1)
    runs = expand(
        text + "[dapo-kl]\nbeta = [0.1, 0.5]\nm = [1, 10]\n", exclude=["gamma < 0.5 or beta = 0.1 and m = 10"]
    )
    assert said(runs, "beta", "m") == [
        ("dapo-kl", 0, 0.1, 1),
        ("dapo-kl", 0, 0.5, 10),
        ("sac", 0, None, None),
        ("dapo-kl", 1, 0.1, 1),
        ("dapo-kl", 1, 0.5, 10),
    ]


def test_an_excluded_combination_may_be_impossible(expand: Expand) -> None:
    text = 'algo = "ppo"\nenv = "Pendulum-v1"\nseeds = 1\nrollout_steps = [64, 96]\nbatch_size = [32, 64]\n'
    with pytest.raises(BadInput, match="batch_size = 64 does not divide rollout_steps = 96"):
        expand(text)
    assert len(expand(text, exclude=["rollout_steps = 96 and batch_size = 64"])) == 3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r"no algo given: name one or more with --algo, or as algo = \[.….\] in the sweep's file"),
        ('algo = "sac"', "no env given"),
        ("algo = 3\nenv = 'x'", "algo = 3 in .*main.toml: write names in quotes"),
        ("algo = []\nenv = 'x'", r"algo = \[\] in .*main.toml: write names"),
        ("algo = ['sac', 'sac']\nenv = 'x'", "names 'sac' twice"),
        ("algo = 'sax'\nenv = 'Pendulum-v1'", "unknown algorithm 'sax': did you mean 'sac'"),
        ("algo = 'sac'\nenv = 'Pendulum-v9'", "unknown environment 'Pendulum-v9'"),
        (HEAD + "gama = 0.9", r"unknown setting 'gama' for dapo-kl in .*main.toml: did you mean 'gamma'"),
        (HEAD + "seed = 3", "a sweep has seeds"),
        (HEAD + "beta = [0.1]", r"sac has no beta, which .*main.toml gives for every algorithm: .*table \[dapo-kl\]"),
        (HEAD + "gamma = []", r"gamma = \[\] in .*main.toml is an empty grid"),
        (HEAD + "gamma = [0.9, 0.5, 0.90]", r"gamma in .*main.toml has the value 0.9 twice"),
        (HEAD + "gamma = 1.5", r"gamma = 1.5 in .*main.toml is not possible: gamma must be a number ≥ 0 and < 1"),
        (HEAD + "gamma = [[0.9]]", r"gamma = \[0.9\] in .*main.toml is not possible"),
        (HEAD + "hidden_sizes = []", r"hidden_sizes = \[\] in .*main.toml is not possible"),
        (HEAD + "tuning = 'yes'", "tuning must be true or false"),
        (HEAD + "tags = 'x'", r"tags in .*main.toml is no list"),
        (HEAD + "tags = [1]", "tags must be a list of strings"),
        (HEAD + "note = 3", "note = 3 in .*main.toml: a note is a text"),
        (HEAD + "preset = ['zoo']", r"preset = \['zoo'\] in .*main.toml: name one preset"),
        (HEAD + "preset = 'zo'", "unknown preset 'zo': did you mean 'zoo'"),
        (HEAD + "critic_learning_rate = ['same', 3e-4]", "the sweep has dapo-kl on Pendulum-v1.* twice: take one out"),
        (HEAD + "[dapo]\nbeta = 1", r"\[dapo\] in .*main.toml is neither an algorithm nor an environment"),
        (HEAD + "exclude = 'm = 1'", 'exclude in .*main.toml is no list: write it as exclude'),
        (HEAD + "exclude = ['m =']", "exclude = 'm =' in .*main.toml: expected a value"),
        (HEAD + "exclude = ['mm = 1']", "exclude = 'mm = 1' in .*main.toml: no run has 'mm'"),
        (HEAD + "exclude = ['m = 77']", "exclude = 'm = 77' in .*main.toml is true of no run: correct it"),
        (HEAD + "exclude = ['gamma > 0']", ".*main.toml excludes every run"),
        (HEAD + "exclude = [3]", "exclude = 3 in .*main.toml is no filter"),
        (HEAD + "exclude = ['gamma > high']", "gamma > 'high': write a number there"),
        (HEAD + "vary = 3", r"vary in .*main.toml is no list: write it as \[\[vary\]\]"),
        (HEAD + "vary = [3]", r"\[\[vary\]\] number 1 of .*main.toml is no table"),
        (HEAD + "[[vary]]\nwhere = 'm > 1'", r"\[\[vary\]\] number 1 of .*main.toml varies nothing"),
        (HEAD + "[[vary]]\nzip = 1\ngamma = 0.9", "zip must be true or false"),
        (HEAD + "[[vary]]\nenv = ['x']", r"env in \[\[vary\]\] number 1 .* is not possible"),
        (HEAD + "[[vary]]\ndapo-kl = {beta = 1}", r"dapo-kl in \[\[vary\]\] .* is a table: say for what"),
        (HEAD + "[[vary]]\nwhere = 'seed = 1'\ngamma = 0.9", "values can't depend on the seed"),
        (HEAD + "[[vary]]\nbeta = [0.1, 0.2]", "sac has no beta, .*add to its where: algo = 'dapo-kl'"),
        (HEAD + "[[vary]]\nzip = true\ngamma = [0.9, 0.8]\npolyak = [0.1]", "in length: gamma has 2, polyak has 1"),
        (HEAD + "[[vary]]\nzip = true\ngamma = [0.9, 0.9]\npolyak = [0.1, 0.1]", "the same values side by side twice"),
        (HEAD + "gamma = 0.5\n[[vary]]\ngamma = [0.9, 0.8]", r"gamma is given both by .*main.toml and by \[\[vary\]\]"),
        (
            HEAD + "[[vary]]\ngamma = [0.9, 0.8]\n[[vary]]\nwhere = 'm > 0 or m = null'\ngamma = [0.5]",
            r"gamma is given both by \[\[vary\]\] number 1 .* and by \[\[vary\]\] number 2",
        ),
        (HEAD + "[[vary]]\nwhere = 'polyak > 0'\ngamma = [0.5]", "polyak is auto, and has its value only when"),
        (HEAD + "seeds = 3", "is not valid TOML"),
        (HEAD.replace("seeds = 2", "seeds = 100_000") + "gamma = [0.9, 0.8]", "more than 100000 runs"),
        (HEAD + "".join(f"{name} = {list(range(1, 99))}\n" for name in ("eval_every", "log_every", "threads")), "more"),
    ],
)  # fmt: skip
def test_a_sweep_that_makes_no_sense_is_one_line(expand: Expand, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as caught:
        expand(text)
    assert "\n" not in str(caught.value)


def test_what_is_typed_wins_and_must_fit(expand: Expand) -> None:
    with pytest.raises(BadInput, match=r"sac has no beta, which the command line gives .*: write --set dapo-kl.beta=…"):
        expand(HEAD, assignments=["beta=0.3"])
    with pytest.raises(BadInput, match=r"--set ampo.beta: 'ampo' is not in the sweep: name it with --algo"):
        expand(HEAD, assignments=["ampo.beta=0.3"])
    with pytest.raises(BadInput, match=r"gamma is given both by the command line and by \[\[vary\]\]"):
        expand(HEAD + "[[vary]]\nwhere = 'm > 1'\ngamma = 0.5\n", assignments=["gamma=0.3"])
    assert len(expand(HEAD + "gamma = [0.9, 0.8]\n", assignments=["gamma=0.3"], algo="sac")) == 2


grids = st.dictionaries(
    st.sampled_from(["gamma", "polyak", "learning_rate", "initial_temperature"]),
    st.lists(st.floats(0.001, 0.9), min_size=1, max_size=4, unique=True),
    max_size=3,
)


@given(shared=grids, own=st.lists(st.integers(1, 50), max_size=3, unique=True), seeds=st.integers(1, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_a_grid_has_as_many_runs_as_its_lists_say(
    expand: Expand, shared: dict[str, list[float]], own: list[int], seeds: int
) -> None:
    text = "".join(f"{name} = {values}\n" for name, values in shared.items())
    text = HEAD + text + (f"[dapo-kl]\nm = {own}\n" if own else "")
    runs = expand(text, seeds=str(seeds))
    count = 1
    for values in shared.values():
        count *= len(values)
    assert len(runs) == seeds * count * (max(len(own), 1) + 1)
    assert runs == expand(text, seeds=str(seeds))
    assert len({repr(judged(run)) for run in runs}) == len(runs)
    larger = expand(text, seeds=str(seeds + 1))
    assert larger[: len(runs)] == runs  # more seeds only add
    for run in runs:
        assert type(run.hyperparameters).model_validate(run.hyperparameters.model_dump()) == run.hyperparameters


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["algo", "env", "seeds", "steps", "exclude", "vary", "tags", "preset", "sac", "gamma", "Pend*", "note", "search"]
)


@given(content=st.dictionaries(NAMES | st.text(max_size=8), JUNK, max_size=5), whole=st.booleans())
@settings(deadline=None, max_examples=150)
def test_whatever_a_definition_holds_it_is_runs_or_one_line(content: dict[str, Any], whole: bool) -> None:
    sound = {"algo": "sac", "env": "Pendulum-v1", "seeds": 1}
    layer = {"origin": "file", "source": "x.toml", "content": sound | content if whole else content}
    try:
        runs = grid.expand(sweep_file.restored("x", {"layers": [layer]}))
    except BadInput:
        return
    assert runs
