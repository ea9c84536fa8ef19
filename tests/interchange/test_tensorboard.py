"""TensorBoard's event files, written by TensorBoard's own code and by stable-baselines3's logger."""

from __future__ import annotations

import math
import struct

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from dapo_cli.errors import BadInput
from dapo_cli.interchange.formats import Reading, read


def only(path, **how):
    (log,) = read(path, Reading(**how))
    return log


@pytest.fixture
def event_file(tmp_path):
    """Writes an event file of (tag, step, number) or (tag, text), one event each, a second apart."""

    def write(*entries, name="events.out.tfevents.1.host", start=1000.0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            writer = RecordWriter(file)
            writer.write(Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
            for index, entry in enumerate(entries):
                event = Event(wall_time=start + index, step=entry[1] if len(entry) == 3 else 0)
                value = event.summary.value.add(tag=entry[0])
                if len(entry) == 3:
                    value.simple_value = entry[2]
                else:
                    value.tensor.dtype = 7
                    value.tensor.string_val.append(entry[1].encode())
                writer.write(event.SerializeToString())
        return path

    return write


def test_episodes_and_evaluations_are_told_by_their_tags(event_file, tmp_path):
    event_file(
        (
            "hyperparameters/text_summary",
            "|param|value|\n|-|-|\n|env_id|Hopper-v4|\n|seed|7|\n|tau|0.005|\n|cuda|True|",
        ),
        ("charts/episodic_return", 100, 1.5),
        ("charts/episodic_length", 100, 60.0),
        ("charts/episodic_return", 100, math.inf),
        ("charts/episodic_length", 100, 40.0),
        ("eval/mean_reward", 100, 9.0),
        ("losses/qf", 50, 0.25),
        ("losses/qf", 50, 0.5),
    )
    log = only(tmp_path)
    assert [row[:4] for row in log.episode_rows()] == [(100, 1.5, 60, 1.0), (100, math.inf, 40, 3.0)]
    assert [tuple(row) for row in log.evaluation_rows()] == [(100, "mean", 0, 9.0, 0)]
    assert [tuple(row) for row in log.metric_rows()] == [("losses/qf", 50, 0.5)]
    assert (log.env, log.seed, log.wall_time) == ("Hopper-v4", 7, 7.0)
    assert {row["name"]: row["value"] for row in log.settings} == {"tau": 0.005, "cuda": True}
    assert any("losses/qf: 1 times" in remark for remark in log.remarks)


def test_a_running_mean_is_no_return_unless_chosen(event_file):
    path = event_file(("rollout/ep_rew_mean", 100, 3.0), ("eval/mean_reward", 100, 9.0), ("my/return", 50, 2.0))
    log = only(path)
    assert set(log.metrics) == {"rollout/ep_rew_mean", "my/return"}
    chosen = only(path, return_tag="rollout/ep_rew_mean", episode_tag="my/return", eval_actions="sampled")
    assert [tuple(row) for row in chosen.evaluation_rows()] == [(100, "sampled", 0, 3.0, 0)]
    assert [row[:2] for row in chosen.episode_rows()] == [(50, 2.0)]
    assert set(chosen.metrics) == {"eval/mean_reward"}
    with pytest.raises(BadInput, match=r"no scalar has the tag 'eval/mean': did you mean 'eval/mean_reward'"):
        only(path, return_tag="eval/mean")


def test_files_of_a_continued_run_are_one(event_file, tmp_path):
    event_file(("q", 100, 1.0), name="run/events.out.tfevents.1.host", start=1000.0)
    event_file(("q", 200, 2.0), name="run/events.out.tfevents.2.host", start=2000.0)
    log = only(tmp_path / "run")
    assert [(row.step, row.value) for row in log.metric_rows()] == [(100, 1.0), (200, 2.0)]
    event_file(("q", 150, 2.0), name="run/events.out.tfevents.3.host", start=3000.0)
    with pytest.raises(BadInput, match=r"tfevents\.3\.host, tag 'q': step 150 comes after step 200 of the file before"):
        only(tmp_path / "run")


def test_metrics_out_of_order_are_sorted_and_returns_refused(event_file):
    path = event_file(("q", 200, 2.0), ("q", 100, 1.0), ("q", 200, 3.0), ("eval/mean_reward", 100, 9.0))
    log = only(path)
    assert [(row.step, row.value) for row in log.metric_rows()] == [(100, 1.0), (200, 3.0)]
    assert "q: 1 times a step before the last one; sorted by step" in log.remarks
    for tag in ("charts/episodic_return", "eval/mean_reward"):
        with pytest.raises(BadInput, match=rf"tag '{tag}': step 50 comes after step 100: two runs share the file"):
            only(event_file((tag, 100, 1.0), (tag, 50, 1.0)))


@pytest.mark.parametrize("in_one_file", [True, False])
def test_a_restart_takes_back_what_came_after_it(tmp_path, in_one_file):
    """As TensorBoard does, and as torch's SummaryWriter(purge_step=…) asks for."""
    from torch.utils.tensorboard import SummaryWriter

    first = SummaryWriter(str(tmp_path), filename_suffix=".1")
    for step in (100, 200, 300):
        first.add_scalar("charts/episodic_return", step, step)
        first.add_scalar("q", step, step)
    first.add_scalar("only/before", 1.0, 300)
    first.close()
    second = SummaryWriter(str(tmp_path), purge_step=200, filename_suffix=".2")
    for step in (200, 250):
        second.add_scalar("charts/episodic_return", -step, step)
        second.add_scalar("q", -step, step)
    second.close()
    files = sorted(tmp_path.iterdir(), key=lambda file: file.suffix)
    if in_one_file:
        files[0].write_bytes(files[0].read_bytes() + files[1].read_bytes())
        files[1].unlink()
    else:
        files[0].rename(tmp_path / "events.out.tfevents.1")
        files[1].rename(tmp_path / "events.out.tfevents.2")
    log = only(tmp_path)
    assert [(row.step, row.return_) for row in log.episode_rows()] == [(100, 100.0), (200, -200.0), (250, -250.0)]
    assert [(row.name, row.step, row.value) for row in log.metric_rows()] == [
        ("q", 100, 100.0),
        ("q", 200, -200.0),
        ("q", 250, -250.0),
    ]
    assert any("restarted at step 200; 5 numbers from it on are void" in remark for remark in log.remarks)


def test_settings_with_a_bar_a_backslash_or_more_lines(event_file):
    text = "|param|value|\n|-|-|\n|layers|relu|tanh|\n|folder|C:\\new|\n|note|two\nlines|\n|tau|0.5|"
    log = only(event_file(("hyperparameters/text_summary", text), ("q", 1, 1.0)))
    assert {row["name"]: row["value"] for row in log.settings} == {
        "layers": "relu|tanh",
        "folder": "C:\\new",
        "tau": 0.5,
    }
    assert "left out: 2 lines of the settings' text that are no row of a table" in log.remarks


def test_numbers_may_be_tensors(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    with path.open("wb") as file:
        for content in ({"double_val": [2.5]}, {"tensor_content": struct.pack("<d", 3.5)}, {"double_val": [1.0, 2.0]}):
            event = Event(step=1)
            tensor = event.summary.value.add(
                tag=f"tag {next(iter(content))} {len(content.get('double_val', []))}"
            ).tensor
            tensor.dtype = 2
            tensor.MergeFrom(type(tensor)(**content))
            RecordWriter(file).write(event.SerializeToString())
    assert {row.name: row.value for row in only(path).metric_rows()} == {
        "tag double_val 1": 2.5,
        "tag tensor_content 0": 3.5,
    }


def test_what_stable_baselines3_logs_is_read(tmp_path):
    from stable_baselines3.common.logger import configure

    logger = configure(str(tmp_path), ["tensorboard"])
    for step in (100, 200):
        logger.record("eval/mean_reward", -float(step))
        logger.record("train/actor_loss", step / 3)
        logger.dump(step)
    logger.close()
    log = only(tmp_path)
    assert [(row.step, row.return_) for row in log.evaluation_rows()] == [(100, -100.0), (200, -200.0)]
    assert [row.value for row in log.metric_rows()] == pytest.approx([100 / 3, 200 / 3])


def test_a_run_that_was_killed_counts_up_to_there(event_file):
    path = event_file(("q", 100, 1.0), ("q", 200, 2.0))
    path.write_bytes(path.read_bytes()[:-5])
    log = only(path)
    assert [row.step for row in log.metric_rows()] == [100]
    assert any("record 3: the file ends within a record" in remark for remark in log.remarks)


@pytest.mark.parametrize("position", [0, 9, 20, 60])
def test_a_damaged_byte_is_noticed(event_file, position):
    path = event_file(("q", 100, 1.0), ("q", 200, 2.0))
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"byte \d+: "):
        only(path)


def test_a_record_that_is_no_event_is_refused(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    with path.open("wb") as file:
        RecordWriter(file).write(b"\xff" * 20)
    with pytest.raises(BadInput, match="record 1: that is no TensorBoard event"):
        only(path)


def test_a_negative_step_is_refused(event_file):
    with pytest.raises(BadInput, match="-1 is no environment step"):
        only(event_file(("q", -1, 1.0)))


def test_images_are_passed_over(event_file, tmp_path, monkeypatch):
    monkeypatch.setattr("dapo_cli.interchange.event_files.LARGEST_EVENT", 200)
    path = event_file(("q", 1, 1.0), ("text", "x" * 500), ("q", 2, 2.0))
    assert [row.step for row in only(path).metric_rows()] == [1, 2]
