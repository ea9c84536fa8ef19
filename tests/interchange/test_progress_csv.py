"""progress.csv of stable-baselines3 and what experiment trackers export: holes, texts, an index, means."""

from __future__ import annotations

import math

import pytest

from dapo_cli.errors import BadInput
from dapo_cli.interchange.formats import Reading, read


def only(path, **how):
    (log,) = read(path, Reading(**how))
    return log


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def returns(log):
    return [(row.step, row.return_, row.length) for row in log.evaluation_rows()]


def test_what_stable_baselines3_logs_is_read(tmp_path):
    """Its rows of evaluations and of rollouts leave each other's columns empty."""
    from stable_baselines3.common.logger import configure

    logger = configure(str(tmp_path), ["csv"])
    for step in (100, 200):
        logger.record("rollout/ep_rew_mean", step / 10)
        logger.record("time/total_timesteps", step)
        logger.record("time/time_elapsed", step / 50)
        logger.dump(step)
        logger.record("eval/mean_reward", -float(step))
        logger.record("eval/mean_ep_length", 9.6)
        logger.record("time/total_timesteps", step)
        logger.dump(step)
    logger.close()
    for path in (tmp_path, tmp_path / "progress.csv"):
        log = only(path)
        assert returns(log) == [(100, -100.0, 10), (200, -200.0, 10)]
        assert [(row.name, row.step, row.value) for row in log.metric_rows()] == [
            ("rollout/ep_rew_mean", 100, 10.0),
            ("rollout/ep_rew_mean", 200, 20.0),
        ]
        assert (log.source, log.wall_time) == ("stable-baselines3 progress.csv", 4.0)
        assert log.remarks == ["eval/mean_reward is a mean over episodes: one row an evaluation, of mean actions"]


def test_a_progress_file_without_evaluations_holds_metrics(write):
    log = only(write("progress.csv", "time/total_timesteps,rollout/ep_rew_mean\n100,1\n200,2\n"))
    assert (returns(log), [row.value for row in log.metric_rows()]) == ([], [1.0, 2.0])
    assert log.remarks == ["no row has a return (eval/mean_reward): all columns are metrics"]
    chosen = only(write("progress.csv", "time/total_timesteps,score\n1,5\n"), columns=("return=score",), kind="episode")
    assert [row[:2] for row in chosen.episode_rows()] == [(1, 5.0)]


TRACKED = (  # W&B, MLflow and trackio write their tables with pandas, or like it
    ",_step,_timestamp,eval/return,ep_len_mean,loss,device,done\n"
    "0,0,1.7e9,,,0.5,cpu,true\n"
    "1,100.0,1.8e9,1.5,99.5,,cpu,\n"
    "2,,1.9e9,,,0.25,,\n"
    "3,200,,NaN,,Infinity,,n/a\n"
)


def test_exports_of_trackers(write):
    how = {"columns": ("step=_step", "return=eval/return", "length=ep_len_mean"), "kind": "evaluation"}
    log = only(write("wandb.csv", TRACKED), **how)
    (first, second) = returns(log)
    assert first == (100, 1.5, 100)
    assert second[::2] == (200, 0)
    assert math.isnan(second[1])
    assert [(row.name, row.step, row.value) for row in log.metric_rows()] == [
        ("_timestamp", 0, 1.7e9),
        ("_timestamp", 100, 1.8e9),
        ("loss", 0, 0.5),
        ("loss", 200, math.inf),
    ]
    assert log.remarks == [
        "left out: 1 row without _step",
        "left out: the index, a column without a name",
        "left out, as they are no numbers: device (2 rows), done (2 rows)",
    ]


def test_many_texts_are_one_line(write):
    names = [f"text{index}" for index in range(12)]
    log = only(write("a.csv", f"step,return,{','.join(names)}\n1,2{',x' * 12}\n"), kind="episode")
    assert [remark for remark in log.remarks if "text7 (1 row) and 4 more columns" in remark] == log.remarks


def test_spinning_up_with_holes_and_texts(write):
    log = only(write("progress.txt", "TotalEnvInteracts\tAverageTestEpRet\tLossQ\tMode\n100\t\t0.5\ta\n200\t3\t\tb\n"))
    assert returns(log) == [(200, 3.0, 0)]
    assert [tuple(row) for row in log.metric_rows()] == [("LossQ", 100, 0.5)]
    assert "left out, as they are no numbers: Mode (2 rows)" in log.remarks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time/total_timesteps,eval/mean_reward\n100,five\n", "line 2: eval/mean_reward is 'five', not a number"),
        ("time/total_timesteps,x\n", "holds no row of results"),
        ("time/total_timesteps,note\n100,text\n", "holds no row of results"),
        ("time/iterations,x\n1,2\n", "no column 'step', only time/iterations, x"),
    ],
)
def test_a_progress_file_that_tells_nothing_is_refused(write, text, message):
    with pytest.raises(BadInput) as refusal:
        only(write("progress.csv", text))
    assert message in str(refusal.value)


def test_a_folder_without_one_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"holds no progress\.csv: name the run's own folder"):
        only(tmp_path, format="csv")
