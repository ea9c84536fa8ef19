"""progress.txt and plain CSV."""

from __future__ import annotations

import json
import math
import re

import pytest

from dapo_cli.errors import BadInput
from dapo_cli.interchange import plain_csv
from dapo_cli.interchange.formats import Reading, read

OFF_POLICY = (
    "Epoch\tAverageEpRet\tAverageTestEpRet\tEpLen\tTestEpLen\tTotalEnvInteracts\tLossQ\tTime\n"
    "1\t10.0\t20.5\t100\t150\t4000\t0.5\t3.5\n"
    "2\t11.0\tnan\t100\t151\t8000\t0.25\t7.5\n"
)


def only(path, **how):
    (log,) = read(path, Reading(**how))
    return log


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def test_a_test_return_is_one_row_and_every_other_column_a_metric(write, tmp_path):
    write("progress.txt", OFF_POLICY)
    write("config.json", json.dumps({"seed": 30, "env_fn": "<function <lambda>>"}))
    log = only(tmp_path)
    rows = list(log.evaluation_rows())
    assert [tuple(row) for row in rows[:1]] == [(4000, "mean", 0, 20.5, 150)]
    assert rows[1].step == 8000
    assert math.isnan(rows[1].return_)
    assert set(log.metrics) == {"Epoch", "AverageEpRet", "EpLen", "TestEpLen", "LossQ"}
    assert [tuple(row) for row in log.metric_rows() if row.name == "LossQ"] == [
        ("LossQ", 4000, 0.5),
        ("LossQ", 8000, 0.25),
    ]
    assert (len(log.episodes), log.seed, log.env, log.wall_time) == (0, 30, None, 7.5)


def test_training_means_are_evaluations_only_if_asked(write):
    path = write("progress.txt", "AverageEpRet\tEpLen\tTotalEnvInteracts\n5\t100\t4000\n")
    log = only(path)
    assert not log.evaluations
    assert "no AverageTestEpRet" in log.remarks[0]
    chosen = only(path, return_tag="AverageEpRet", eval_actions="sampled")
    assert [tuple(row) for row in chosen.evaluation_rows()] == [(4000, "sampled", 0, 5.0, 100)]
    with pytest.raises(BadInput, match="no column 'EpRet'"):
        only(path, return_tag="EpRet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Epoch\tAverageTestEpRet\n1\t2\n", "line 2: no column 'TotalEnvInteracts'"),
        ("TotalEnvInteracts\tAverageTestEpRet\n100\tfoo\n", "line 2: AverageTestEpRet is 'foo'"),
        ("TotalEnvInteracts\tLoss\n100\t1\n50\t1\n", "line 3: step 50 comes after step 100"),
        ("TotalEnvInteracts\tLoss\n100\n", "line 2: 1 fields instead of 2"),
    ],
)
def test_a_progress_file_that_is_none_is_refused(write, text, message):
    with pytest.raises(BadInput) as refusal:
        only(write("progress.txt", text))
    assert message in str(refusal.value)


def test_rows_of_a_csv_file_say_what_they_are(write):
    path = write(
        "log.csv",
        "step,return,length,kind,q\n100,1,100,episode,\n100,5,90,evaluation,0.5\n100,inf,80,evaluation,0.5\n"
        "200,-inf,100,episode,0.75\n",
    )
    log = only(path)
    assert [row[:3] for row in log.episode_rows()] == [(100, 1.0, 100), (200, -math.inf, 100)]
    assert [tuple(row) for row in log.evaluation_rows()] == [(100, "mean", 0, 5.0, 90), (100, "mean", 1, math.inf, 80)]
    assert [tuple(row) for row in log.metric_rows()] == [("q", 100, 0.5), ("q", 200, 0.75)]


def test_columns_may_have_other_names(write):
    path = write("log.csv", "\ufeffglobal_step,score\n1e3,1\n2000.0,2\n")
    log = only(path, columns=("step=global_step", "return=score"), kind="evaluation")
    assert [(row.step, row.return_, row.length) for row in log.evaluation_rows()] == [(1000, 1.0, 0), (2000, 2.0, 0)]
    with pytest.raises(BadInput, match="no column 'step', only global_step, score"):
        only(path, kind="episode")
    with pytest.raises(BadInput, match="--column takes"):
        only(path, columns=("score",), kind="episode")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("step,return\n1,2\n", "line 2: no column tells"),
        ("step,return,kind\n1,2,test\n", "line 2: 'test' does not tell"),
        ("step,return,kind\n-1,2,episode\n", "line 2: step is '-1'"),
        ("step,return,kind\n1_0,2,episode\n", "line 2: step is '1_0'"),
        ('step,return,kind\n1,"2,episode\n', "no table"),
        ("step,return,step\n", "line 1: the header"),
        ("x" * (1 << 20), "line 1: that is no text"),
        ("step,return,kind,length\n1,2,episode,-3\n", "line 2: length is '-3'"),
        ("step,return,kind\n1,two,episode\n", "line 2: return is 'two'"),
    ],
)
def test_a_csv_file_that_is_none_is_refused(write, text, message):
    with pytest.raises(BadInput) as refusal:
        only(write("log.csv", text))
    assert message in str(refusal.value)


def test_a_file_beyond_all_logs_is_not_read(write, monkeypatch):
    monkeypatch.setattr("dapo_cli.interchange.log_files.LARGEST_TEXT", 10)
    with pytest.raises(BadInput, match="split it"):
        only(write("log.csv", "step,return,kind\n"))


def test_options_of_another_format_are_refused(write):
    path = write("progress.txt", OFF_POLICY)
    with pytest.raises(BadInput, match="--column is for csv"):
        only(path, columns=("step=x",))
    with pytest.raises(BadInput, match="--episode-tag is for tensorboard"):
        only(path, episode_tag="x")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("step;return\n100;1,5\n", "line 1: its columns are separated by semicolons: save the table with commas"),
        ("step\treturn\n100\t1.5\n", "line 1: its columns are separated by tabs: save the table with commas"),
        ("Step,return\n100,1.5\n", "line 2: no column 'step', but 'Step': add --column step=Step"),
        ("step,return,return\n1,2,3\n", "line 1: the header names the column 'return' twice: correct the file"),
        (f"step,return\n{2**53 + 1},1\n", "is '9007199254740993', not a whole number below 2^53"),
    ],
)
def test_a_table_that_is_almost_right_is_told_what_is_wrong(tmp_path, text, complaint):
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(BadInput, match=re.escape(complaint)):
        plain_csv.read(file, file, {}, "evaluation", "mean")
