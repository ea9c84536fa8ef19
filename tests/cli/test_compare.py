"""dapo compare and freeze, as a user types them."""

from __future__ import annotations

import json

import pytest


def rows_of(text: str) -> list[str]:
    """The lines under a table's head, blanks squeezed."""
    _, _, *rows = text.splitlines()
    return [" ".join(row.split()) for row in rows]


def test_algorithms_on_environments(dapo, family):
    outcome = dapo("compare")
    assert outcome.code == 0
    assert rows_of(outcome.out) == [
        "HalfCheetah-v4 dapo-kl 0.1 1 50.00 –",
        "HalfCheetah-v4 dapo-kl 0.5 3 210.0 ± 10.0 [185.2, 234.8]",
        "HalfCheetah-v4 sac – 3 101.0 ± 1.0 [98.5, 103.5]",
        "Hopper-v4 dapo-kl 0.5 1 7.00 – a",
    ]
    assert outcome.err.splitlines() == [
        "Final return: mean ± standard deviation over n runs; a run's score is the mean return of its last evaluation, "
        "with mean actions (budget 1k steps). Brackets: 95 % Student t interval.",
        "a: 1 failed, 1 interrupted not counted",
        "2 runs left out: 1 failed, 1 interrupted",
    ]


def test_by_hyperparameters(dapo, family):
    rows = json.loads(dapo("compare", "--by", "beta, m", "--json").out)
    assert [(row["env"][:4], row["algo"], row["beta"], row["m"], row["n"]) for row in rows if row["n"]] == [
        ("Half", "dapo-kl", 0.1, 10, 1),
        ("Half", "dapo-kl", 0.5, 10, 3),
        ("Hopp", "dapo-kl", 0.5, 10, 1),
        ("Half", "sac", None, None, 3),
    ]
    assert (rows[1]["value"], rows[1]["std"]) == (210.0, 10.0)
    assert rows[0]["std"] is None


def test_nothing_to_compare(dapo, results, record_run):
    assert dapo("compare") == (0, "", "no completed run in runs.db yet\n")
    assert dapo("compare", "--tag", "first") == (0, "", "no completed run matches\n")
    assert dapo("power", "--base", "algo = sac") == (0, "", "no completed run matches\n")
    record_run(final=None)
    note, remedy = dapo("compare").err.splitlines()[-2:]
    assert note == "1 run left out: 1 completed without an evaluation"
    assert remedy == "take their training episodes with --measure final-train, or a metric with --measure last:NAME"
    assert [row["n"] for row in json.loads(dapo("compare", "--json").out)] == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "bta"], "no run has a key 'bta': did you mean 'beta'"),
        (["--by", "beta,,m"], "--by: 'beta,,m' has an empty or a repeated key"),
        (["--measure", "finl"], "--measure: no measure 'finl': did you mean 'final'"),
        (["--measure", "steps-to"], "--measure: 'steps-to' is none: write steps-to:R"),
        (["--measure", "final:3"], "--measure: 'final:3' is none: write final"),
        (["--measure", "last:dual_eror"], "--measure: no run recorded 'dual_eror'"),
        (["--base", "algo = sac and"], "--base: expected the name of a field"),
        (["--measure", "last:"], "--measure: 'last:' is none: write last:NAME"),
        (["--measure", "steps-to:nan"], "--measure: 'nan' is no return"),
        (["--stat", "average"], "--stat: no statistic 'average'"),
        (["--stat", "gap"], "--stat: the optimality gap needs normalised scores"),
        (["--normalise", "ppo"], "--normalise: no run of 'ppo' is selected"),
        (["--normalise", "file"], "--normalise file: name the file"),
        (["--normalise", "sac"], "--normalise: nobody told the return that stands for 1 on Hopper-v4"),
        (["--pooled"], "scores on different environments have no common mean"),
        (["--base", "algo = ppo"], "--base: it matches no whole row of the table"),
        (["--vary", "beta"], "--vary: against which base?"),
        (["--base", "algo = sac", "--vary", "env"], "--vary: environments are compared side by side"),
        (["--base", "algo = sac", "--vary", "bta"], "no run has a key 'bta'"),
        (["--equivalent", "20%"], "--equivalent: to what?"),
        (["--base", "algo = sac", "--equivalent", "much"], "--equivalent: 'much' is no size"),
        (["--selection", "paper"], "no selection 'paper'"),
        (["--sweep", "main"], "--sweep: there is no sweep 'main'"),
        (["--allow", "step"], "--allow: nothing is called 'step': did you mean 'steps'"),
        (["--references", "none.toml"], "cannot read none.toml"),
    ],
)
def test_bad_input(refused, family, arguments, message):
    assert refused("compare", *arguments).startswith(message)


def test_the_best_and_what_cannot_be_told_from_it(dapo, seeds):
    seeds("sac", [100, 101, 102, 103, 104])
    seeds("mdpo", [99, 101, 102, 104, 104.5])
    seeds("ampo", [50, 51, 52, 53, 54])
    seeds("dapo-kl", [500, 501, 502, 503])  # four runs: neither tested nor the best
    rows = {row["algo"]: row for row in json.loads(dapo("compare", "--json").out)}
    assert {algo for algo, row in rows.items() if row["best"]} == {"sac", "mdpo"}
    assert "sac 5 102.0 * ± 1.6" in " ".join(dapo("compare").out.split())
    assert "Holm" in dapo("compare").err


def test_a_base_and_equivalence_to_it(dapo, seeds):
    seeds("sac", [1000, 1001, 1002, 1003, 1004])
    seeds("mdpo", [999, 1001, 1002, 1003, 1006])
    seeds("ampo", [500, 600, 700, 800, 900])
    seeds("mampo", [1002, 1002])
    rows = json.loads(dapo("compare", "--base", "algo = sac", "--equivalent", "10%", "--json").out)
    found = {row["algo"]: row for row in rows}
    assert {algo: row["verdict"] for algo, row in found.items()} == {
        "sac": "",
        "mdpo": "equivalent",
        "ampo": "different",
        "mampo": "undecided",  # two runs decide nothing, however close
    }
    assert found["ampo"]["difference"] == -302.0
    assert found["ampo"]["difference_low"] < -302.0 < found["ampo"]["difference_high"] < 0
    assert found["ampo"]["p"] < 0.05 < found["mdpo"]["p"]
    assert found["mampo"]["p"] is None


def test_ablation(dapo, seeds):
    seeds("dapo-kl", [10, 11, 12], settings={"beta": 0.5, "norm": True})
    seeds("dapo-kl", [5, 6, 7], settings={"beta": 0.1, "norm": True})
    seeds("dapo-kl", [1, 2, 3], settings={"beta": 0.5, "norm": False})
    seeds("sac", [1, 2, 3])
    outcome = dapo("compare", "--base", "beta = 0.5 and norm = true", "--vary", "beta,norm")
    assert rows_of(outcome.out) == [
        "HalfCheetah-v4 base 3 11.00 ± 1.00 [8.52, 13.48] –",
        "HalfCheetah-v4 beta = 0.1 3 6.00 ± 1.00 [3.52, 8.48] -5.00 [-7.27, -2.73]",
        "HalfCheetah-v4 base − norm 3 2.00 ± 1.00 [-0.48, 4.48] -9.00 [-11.27, -6.73]",
    ]
    assert "base (beta = 0.5, norm = true)" in outcome.err
    assert "3 of another algorithm than the base" in outcome.err


def test_an_ablation_in_which_something_else_differs_is_refused(refused, seeds):
    seeds("dapo-kl", [10], settings={"beta": 0.5, "m": 10})
    (other,) = seeds("dapo-kl", [5], settings={"beta": 0.1, "m": 1})
    assert refused("compare", "--base", "beta = 0.5", "--vary", "beta") == (
        f"no ablation: run {other} differs from the base also in m (1, not 10): "
        "add that to --vary, or leave it out with --where"
    )


def test_which_of_several_matching_configurations_is_the_base(dapo, refused, results, seeds):
    from store.records import runs

    seeds("dapo-kl", [5], settings={"beta": 0.1})  # the fixture records every value as a default
    assert "Δ" in dapo("compare", "--base", "algo = 'dapo-kl'", "--vary", "beta").out
    seeds("dapo-kl", [10], settings={"beta": 0.5})
    message = refused("compare", "--base", "algo = 'dapo-kl'", "--vary", "beta")
    assert message.startswith("--base: it matches 2 configurations on HalfCheetah-v4 (beta = 0.1; beta = 0.5)")
    for listed in runs.listing(results):
        runs.delete(results, [listed["id"]])
    for beta, origin in ((0.1, "command line"), (0.5, "default")):
        row = {"algo": "dapo-kl", "env": "HalfCheetah-v4", "seed": 0, "steps": 1000}
        setting = {"name": "beta", "value": beta, "origin": origin, "symbol": "β"}
        _evaluated(results, runs.create(results, run=row, hyperparameters=[setting]))
    rows = json.loads(dapo("compare", "--base", "algo = 'dapo-kl'", "--vary", "beta", "--json").out)
    assert [row["configuration"] for row in rows] == ["base", "β = 0.1"]


def _evaluated(results, run_id: str) -> None:
    from store.records.recorder import Recorder

    recorder = Recorder(results, run_id)
    recorder.evaluation(1000, "mean", 0, 1.0, 1)
    recorder.close("completed")


def test_a_diverged_run_counts_as_a_random_policy(dapo, record_run, tmp_path):
    (tmp_path / "returns.toml").write_text('["Made-v0"]\nrandom = -100\n')
    record_run(env="Made-v0", final=[200.0])
    record_run(env="Made-v0", final=[300.0], seed=1, status="diverged", reason="loss is nan")
    row = json.loads(dapo("compare", "--json", "--references", "returns.toml").out)[0]
    assert (row["n"], row["value"]) == (2, 50.0)
    note = "1 of 2 runs diverged and counts as a random policy; by completed episodes the value would be 250.0"
    assert row["notes"] == [note]
    unknown = dapo("compare", "--json")
    assert json.loads(unknown.out)[0]["value"] is None
    assert "nobody told the return of a random policy on Made-v0" in unknown.err


def test_tuning_runs_are_kept_apart(dapo, seeds):
    seeds("sac", [1, 2])
    seeds("sac", [500], kind="tuning")
    outcome = dapo("compare", "--json")
    assert [row["n"] for row in json.loads(outcome.out)] == [2]
    assert "1 run left out: 1 for tuning" in outcome.err
    assert json.loads(dapo("compare", "--tuning", "--json").out)[0]["value"] == 500.0


@pytest.mark.parametrize(
    ("one", "other", "message", "allowed"),
    [
        ({"steps": 1000}, {"steps": 2000}, "differ in step budget (1000 steps: 1 run, 2000 steps: 1 run)", "steps"),
        (
            {"versions": {"mujoco": "3.1"}},
            {"versions": {"mujoco": "4.0"}},
            "differ in version of MuJoCo (MuJoCo 3.1: 1 run, MuJoCo 4.0: 1 run)",
            "physics",
        ),
        (
            {"settings": {"eval_every": 10, "eval_episodes": 5}},
            {"settings": {"eval_every": 10, "eval_episodes": 10}},
            "differ in evaluation protocol",
            "evaluation",
        ),
    ],
)
def test_runs_that_must_not_be_compared_are_refused(dapo, refused, record_run, one, other, message, allowed):
    record_run(**one)
    record_run("dapo-kl", **other)
    assert message in refused("compare")
    assert message in dapo("compare", "--allow", allowed).err
    assert refused("compare", "--allow", allowed, "--strict").endswith("choose with --where")


def test_a_budget_that_is_a_key_is_no_hidden_difference(dapo, record_run):
    record_run(steps=1000)
    record_run(steps=2000)
    assert dapo("compare", "--by", "steps").code == 0


def test_uncommitted_code_and_imports_are_footnotes(dapo, refused, record_run):
    record_run(dirty=True, source="stable-baselines3 monitor.csv")
    outcome = dapo("compare")
    assert "a: all imported from stable-baselines3 monitor.csv" in outcome.err
    assert "b: all of uncommitted code" in outcome.err
    assert refused("compare", "--strict").startswith(
        "--strict: all imported from stable-baselines3 monitor.csv; all of uncomm"
    )


def test_pooled_over_environments(dapo, seeds, tmp_path):
    (tmp_path / "returns.toml").write_text(
        '["A-v0"]\nrandom = 0\nreference = 10\n["B-v0"]\nrandom = 0\nreference = 100\n'
    )
    seeds("sac", [10, 10, 10, 10, 10, 10], env="A-v0")
    seeds("sac", [0, 0, 0], env="B-v0")
    arguments = ["--pooled", "--normalise", "file", "--references", "returns.toml", "--json"]
    row = json.loads(dapo("compare", *arguments).out)[0]
    assert (row["n"], row["value"]) == (9, pytest.approx(0.5))  # environments weigh the same, whatever their seeds
    assert json.loads(dapo("compare", "--stat", "gap", *arguments).out)[0]["value"] == pytest.approx(0.5)


def test_measures(dapo, record_run):
    record_run(final=[10.0, 20.0], episodes=[1.0] * 50 + [3.0] * 100)
    values = {
        measure: json.loads(dapo("compare", "--measure", measure, "--json").out)[0]["value"]
        for measure in ("final", "final-sampled", "final-train", "best", "auc", "speed", "steps-to:15", "steps-to:0")
    }
    # Evaluated at 500 (return 0) and at 1000 (mean 15; sampled actions -1); 1000 steps in 10 s.
    assert values == {
        "final": 15.0,
        "final-sampled": -1.0,
        "final-train": 3.0,
        "best": 15.0,
        "auc": 7.5,
        "speed": 100.0,
        "steps-to:15": 1000.0,
        "steps-to:0": 500.0,
    }
    record_run(metrics={"dual_error": [3.0, 2.0]}, final=None, seed=1)
    last = json.loads(dapo("compare", "--measure", "last:dual_error", "--json").out)[0]
    assert (last["n"], last["value"], last["left_out"]) == (1, 2.0, 1)
    never = json.loads(dapo("compare", "--measure", "steps-to:99", "--json").out)[0]
    assert never["value"] is None
    assert never["notes"][0] == "1 of 1 runs never reached a return of 99"
    record_run(kind="theory", metrics={"gap": [0.5]}, final=None)
    arguments = ["--where", "kind = 'theory'", "--measure", "last:gap", "--json"]
    assert json.loads(dapo("compare", *arguments).out)[0]["value"] == 0.5


def test_frozen_selections(dapo, refused, results, seeds):
    from store.records import runs

    first = seeds("sac", [1, 2, 3])
    assert dapo("freeze", "paper").err == "'paper' pins 3 runs: use it as --selection paper\n"
    later = seeds("sac", [9], first=3)
    assert json.loads(dapo("compare", "--selection", "paper", "--json").out)[0]["value"] == 2.0
    (change,) = json.loads(dapo("compare", "--against", "paper", "--json").out)
    assert (change["before"], change["after"], change["came"], change["went"]) == (2.0, 3.75, later, [])
    assert rows_of(dapo("compare", "--against", "paper").out) == [
        "HalfCheetah-v4 sac 2.00 (n = 3) 3.75 (n = 4) 1 run came"
    ]
    assert dapo("compare", "--selection", "paper", "--against", "paper").err.splitlines()[0] == "no cell changed"
    assert "exists and holds other runs" in refused("freeze", "paper")
    assert [row["name"] for row in json.loads(dapo("freeze", "--json").out)] == ["paper"]
    runs.delete(results, first[:1])
    assert refused("compare", "--selection", "paper").startswith(
        "--selection: 1 of the 3 runs of 'paper' are no longer"
    )
    assert dapo("freeze", "paper", "--remove").code == 0
    assert "paper" in refused("compare", "--selection", "paper")
    assert refused("freeze", "other", "--where", "seed = 99").startswith("no run to pin")
