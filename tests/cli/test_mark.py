"""`dapo mark`, and `dapo train --tuning`: tuning runs are kept apart from those that are reported."""

from __future__ import annotations

import json

import pytest

from store.records import runs

TINY = "--set hidden_sizes=[16] --set batch_size=8 --set learning_starts=50 --set buffer_size=1000 -q"
SHORT = f"--env Pendulum-v1 --steps 100 --eval-episodes 1 {TINY}".split()


def kinds(dapo) -> dict[str, str]:
    return {row["id"]: row["kind"] for row in json.loads(dapo("runs", "--json").out)}


def test_runs_by_id_and_by_filter(dapo, record_run):
    one, two, other = record_run(), record_run(tags=["grid"]), record_run("dapo-kl")
    outcome = dapo("mark", one[:8], "--tuning", "--tag", "seen")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "marked 1 run\n")
    assert dapo("mark", "--where", "tag = grid", "--tuning").err == "marked 1 run\n"
    assert kinds(dapo) == {one: "tuning", two: "tuning", other: "train"}
    assert {row["id"] for row in json.loads(dapo("runs", "--where", "kind = tuning", "--json").out)} == {one, two}
    outcome = dapo("mark", one, two, other, "--reporting")
    assert outcome.err == "marked 2 runs; 1 was so already\n"
    assert set(kinds(dapo).values()) == {"train"}


def test_what_changed_is_in_the_run_s_history(dapo, record_run):
    run_id = record_run(tags=["draft"])
    dapo("mark", run_id, "--untag", "draft", "--tag", "paper", "--note", "the one")
    shown = dapo("show", run_id).out
    assert "tag paper, no longer tag draft, note 'the one'" in " ".join(shown.split())
    assert "marked" in shown


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("{run}", "nothing to mark: give --tuning, --reporting, --tag, --untag, --note or --rename-tag"),
        ("--tuning", "which runs? Give their ids (see dapo runs), or --where FILTER"),
        ("{run} --tag a --untag a", "--tag and --untag name the same tag 'a': give one of the two"),
        ("{run} --where algo=sac --tag x", "name runs or a filter with --where, not both"),
        ("{run} --tag=", "the tag '' in the command line is blank: write a word, such as paper"),
        ("{run} --untag=", "--untag: a tag is a word, such as --untag paper"),
        (
            "{run} --tag a\x07b",
            "the tag 'a\\x07b' in the command line has control characters: write a word, such as paper",
        ),
        ("--where algo=nothing --tuning", "no run matches --where: see what there is with dapo runs"),
        ("{run} zzz --tuning", "no run 'zzz' in runs.db: list them with: dapo runs --db runs.db"),
    ],
)
def test_bad_input_marks_nothing(refused, dapo, results, record_run, arguments, line):
    run_id = record_run()
    assert refused("mark", *arguments.format(run=run_id).split()) == line
    assert [event["kind"] for event in runs.events(results, run_id)] == ["created", "completed"]


def test_a_tuning_run_is_one_from_its_start_and_its_extension_is_another(dapo):
    assert dapo("train", "--algo", "sac", *SHORT, "--tuning").code == 0
    (first,) = kinds(dapo)
    assert dapo("train", "--from", first, "--steps", "120", "-q").code == 0
    assert dapo("train", "--from", first, "--steps", "140", "-q", "--reporting").code == 0
    assert sorted(kinds(dapo).values()) == ["train", "tuning", "tuning"]


def test_dapo_toml_says_tuning_and_the_command_line_overrules_it(dapo, refused, tmp_path):
    def planned(*arguments: str) -> str:
        return json.loads(dapo("train", "--algo", "sac", *SHORT, "--dry-run", "--json", *arguments).out)["kind"]

    assert planned() == "train"
    (tmp_path / "dapo.toml").write_text("tuning = true\n")
    assert planned() == "tuning"
    assert planned("--reporting") == "train"
    (tmp_path / "dapo.toml").write_text('tuning = "yes"\n')
    line = refused("train", "--algo", "sac", *SHORT, "--dry-run")
    assert line == f"tuning = 'yes' in {tmp_path / 'dapo.toml'} is not possible: tuning must be true or false"


def test_a_tag_is_renamed_on_every_run_that_has_it(dapo, refused, record_run):
    one, two = record_run(tags=["draft", "it's"]), record_run(tags=["draft"])
    record_run(tags=["paper"])
    line = refused("mark", "--rename-tag", "draft", "paper")
    join = "dapo mark --where 'tag = \"draft\"' --tag paper --untag draft"
    assert line == f"--rename-tag: 1 run has the tag 'paper' already: to join the two, write: {join}"
    assert (
        refused("mark", "--rename-tag", "drft", "x") == "--rename-tag: no run has the tag 'drft': did you mean 'draft'?"
    )
    assert refused("mark", "--rename-tag", "draft", " ").startswith("the tag ' ' in the command line is blank")
    assert refused("mark", one, "--rename-tag", "draft", "x").startswith("--rename-tag is of all runs and stands alone")
    assert dapo("mark", "--rename-tag", "draft", "final version").err == "marked 2 runs\n"
    assert dapo("mark", "--rename-tag", "it's", "its").err == "marked 1 run\n"
    tags = {row["id"]: row["tags"] for row in json.loads(dapo("runs", "--json").out)}
    assert (tags[one], tags[two]) == (["final version", "its"], ["final version"])
