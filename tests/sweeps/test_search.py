"""A search: what it proposes follows from its file and the record alone, and hopeless trials are given up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dapo_cli.errors import BadInput, Interrupted
from dapo_cli.sweeps.definition import search_space, sweep_file
from dapo_cli.sweeps.work import search
from store.queue import sweeps
from store.records import runs, settings
from store.records.recorder import Recorder
from store.session import Database

HEAD = 'algo = "dapo-kl"\nenv = "Pendulum-v1"\nseeds = "100-101"\nsteps = 500\neval_every = 100\n[search]\ntrials = 9\n'
PARAMETERS = (
    "[search.parameters]\nbeta = {low = 0.05, high = 1.0, log = true}\nm = {low = 1, high = 50}\n"
    'activation = ["relu", "tanh"]\nhidden_sizes = [[8], [8, 8]]\n'
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[sweep_file.Definition, search_space.Search]]:
    """The search of a file with this text."""

    def of_text(text: str, **typed: Any) -> tuple[sweep_file.Definition, search_space.Search]:
        path = tmp_path / "tune.toml"
        path.write_text(text)
        made = sweep_file.read(path, sweep_file.typed_layer(**typed), tmp_path)
        return made, search_space.read(made)

    return of_text


class Trainer:
    """Stands for a worker: a run's return is the nearer to 0 the nearer β is to 0.3, at every evaluation."""

    def __init__(self, location: str, *, stop_after: int = 10**9, seldom: bool = False) -> None:
        self.location, self.stop_after, self.seldom = location, stop_after, seldom
        self.steps = 0

    def __call__(self, watch: Callable[[Database], None]) -> None:
        with Database.write(self.location) as db:
            waiting = [row for row in runs.listing(db) if row["status"] == "queued"][::-1]
            recorders = {row["id"]: Recorder(db, row["id"], resume_from=0) for row in waiting}
            values = settings.values(db, list(recorders))
            for step in range(100, 501, 100):
                wanted = self._wanted(db)
                for row in waiting:
                    if row["id"] not in wanted:
                        continue
                    self.steps += 100
                    if self.steps > self.stop_after:
                        raise Interrupted
                    score = -abs(values[row["id"]]["beta"] - 0.3) * 100 + row["seed"] / 1000
                    recorders[row["id"]].evaluation(step, "mean", 0, score, 1)
                    recorders[row["id"]].progress(step, step / 100)
                for recorder in recorders.values():
                    recorder.flush()
                if not self.seldom:
                    watch(db)
            wanted = self._wanted(db)
            for row in waiting:
                recorders[row["id"]].close("completed" if row["id"] in wanted else "cancelled")

    @staticmethod
    def _wanted(db: Database) -> set[str]:
        (sweep,) = sweeps.listing(db)
        return {row["id"] for row in runs.listing(db, where=sweeps.members(sweep["id"]))}


def found(made: sweep_file.Definition, asked: search_space.Search, trainer: Trainer) -> list[search_space.Trial]:
    return search.run(trainer.location, made, asked, trainer, lambda *_: None)


def test_the_same_file_gives_the_same_trials_also_interrupted_and_however_seldom_watched(read, tmp_path) -> None:
    made, asked = read(HEAD + PARAMETERS, seeds="100-100")
    first = Trainer(str(tmp_path / "a.db"))
    trials = found(made, asked, first)
    assert len(trials) == 9
    assert len({json.dumps(trial.values) for trial in trials}) == 9
    assert any(trial.pruned for trial in trials)
    best = search.best(asked, trials)
    assert best is not None
    assert best.score == max(trial.score for trial in trials if trial.score is not None)
    assert best.score == pytest.approx(-abs(best.values["beta"] - 0.3) * 100 + 0.1)

    stopped = Trainer(str(tmp_path / "b.db"), stop_after=1300)
    with pytest.raises(Interrupted):
        found(made, asked, stopped)
    with Database.write(stopped.location) as db:  # as a worker gives back what it had
        for row in runs.listing(db):
            if row["status"] in ("running", "interrupted"):
                runs.set_status(db, row["id"], "queued")
    assert found(made, asked, Trainer(stopped.location)) == trials
    assert found(made, asked, Trainer(str(tmp_path / "c.db"), seldom=True)) == trials
    idle = Trainer(first.location)
    assert found(made, asked, idle) == trials  # all on record
    assert idle.steps == 0


def test_its_runs_are_for_tuning_and_pruned_ones_cost_less(read, tmp_path) -> None:
    made, asked = read(HEAD + PARAMETERS)
    trainer = Trainer(str(tmp_path / "a.db"))
    trials = found(made, asked, trainer)
    with Database.read(trainer.location) as db:
        rows = runs.listing(db)
    assert len(rows) == 18
    assert {row["kind"] for row in rows} == {"tuning"}
    assert {row["seed"] for row in rows} == {100, 101}
    given_up = sum(trial.pruned for trial in trials)
    assert sum(row["status"] == "cancelled" for row in rows) == 2 * given_up
    assert trainer.steps < 18 * 500
    assert all(max(trial.evaluations) < 500 for trial in trials if trial.pruned)


def test_more_trials_go_on_and_another_search_needs_another_name(read, tmp_path) -> None:
    made, asked = read(HEAD + PARAMETERS, seeds="100-100")
    trials = found(made, asked, Trainer(str(tmp_path / "a.db")))
    more, asked_more = read(HEAD.replace("9", "10") + PARAMETERS, seeds="100-100")
    assert found(more, asked_more, Trainer(str(tmp_path / "a.db")))[:9] == trials
    other, asked_other = read(HEAD + "seed = 1\n" + PARAMETERS, seeds="100-100")
    with pytest.raises(BadInput, match="there is another sweep 'tune'"):
        found(other, asked_other, Trainer(str(tmp_path / "a.db")))
    assert search_space.propose(asked_other, 0, []) != search_space.propose(asked, 0, [])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD, r"\[search\] of .*tune.toml has no parameters"),
        (HEAD + "trails = 3\n" + PARAMETERS, "is not valid|unknown name 'trails': did you mean 'trials'"),
        (HEAD.replace("9", "0") + PARAMETERS, "trials in .* must be a whole number from 1"),
        (HEAD + "sampler = 'cma'\n" + PARAMETERS, "sampler must be tpe or random"),
        (HEAD + "measure = 'speed'\n" + PARAMETERS, "measure = 'speed' .* can't be searched by"),
        (HEAD + "measure = 'steps-to:5'\n" + PARAMETERS, 'add pruner = "none"'),
        (HEAD + "[search.parameters]\nbeta = 3", "beta in .* is no range and no list of choices"),
        (HEAD + "[search.parameters]\nbeta = {low = 0.5, high = 0.1}", "low must be below high"),
        (HEAD + "[search.parameters]\nbeta = {low = 0, high = 0.1, log = true}", "above 0 on a logarithmic scale"),
        (HEAD + "[search.parameters]\nbeta = {low = 0.1, high = 2.0}", r"beta = 2.0 in \[search\] of .* not possible"),
        (HEAD + "[search.parameters]\nm = {low = 1.5, high = 2.5}", "m in .* is a whole number"),
        (HEAD + "[search.parameters]\nmm = [1, 2]", "unknown setting 'mm' for dapo-kl"),
        ("beta = 0.3\n" + HEAD + PARAMETERS, "beta is given and searched for"),
        ("m = [1, 2]\n" + HEAD + PARAMETERS, "belongs to one configuration, and there are 2"),
    ],
)
def test_a_search_that_makes_no_sense_is_one_line(read, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        read(text)
