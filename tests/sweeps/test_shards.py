"""Parts of a sweep in databases of their own, which `dapo merge` joins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launching import RUNS, SWEEP, query

from dapo_cli.app import main
from dapo_cli.errors import BadInput
from dapo_cli.sweeps.definition import shards, sweep_file
from dapo_cli.sweeps.definition.shards import Shard


@given(st.integers(1, 200), st.integers(1, 40))
def test_parts_are_a_partition(count, total):
    total = min(count, total)
    parts = [shards.part(range(count), Shard(number + 1, total)) for number in range(total)]
    assert sorted(run for part in parts for run in part) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_without_a_run():
    with pytest.raises(BadInput, match="has only 3 runs"):
        shards.part([1, 2, 3], Shard(4, 4))


def test_a_shard_is_written_as_a_fraction():
    assert shards.parse("3/16") == Shard(3, 16)


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "1.0/4", "a/b", "1/9999999", "١/٤"])
def test_what_is_no_shard(text):
    with pytest.raises(BadInput, match="write 3/16"):
        shards.parse(text)


def test_a_sweep_has_one_id_wherever_its_file_lies(tmp_path):
    ids = []
    for folder, text in (("here", SWEEP), ("there", SWEEP), ("other", SWEEP.replace("seeds = 2", "seeds = 3"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "main.toml").write_text(text)
        ids.append(shards.sweep_id(sweep_file.read(tmp_path / folder / "main.toml", directory=tmp_path / folder)))
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 16


def members(database: Path) -> list[tuple[str, str, int]]:
    return query(
        database,
        "SELECT sweep.name, run.algo, run.seed FROM sweep_run JOIN sweep ON sweep.id = sweep_run.sweep_id "
        "JOIN run ON run.id = run_id ORDER BY 1, 2, 3",
    )


def test_shards_come_home_as_one_sweep(tmp_path, monkeypatch, capsys):
    """Queued on two machines in folders of different names, merged twice, and enlarged at home."""
    for number in (1, 2):
        folder = tmp_path / f"machine-{number}"
        folder.mkdir()
        (folder / "main.toml").write_text(SWEEP)
        monkeypatch.chdir(folder)
        command = ["sweep", "run", str(folder / "main.toml"), "--shard", f"{number}/2", "--db", "shard.db", "--enqueue"]
        assert main(command) == 0
        assert main(command) == 0  # once more: nothing is added
        assert len(members(folder / "shard.db")) == RUNS // 2
    monkeypatch.chdir(tmp_path)
    both = ["machine-1/shard.db", "machine-2/shard.db"]
    assert main(["merge", *both]) == 0
    home = members(tmp_path / "runs.db")
    assert home == [("main", algo, seed) for algo in ("dapo-kl", "sac") for seed in (0, 1)]
    capsys.readouterr()
    assert main(["merge", *both, "--json"]) == 0
    for outcome in json.loads(capsys.readouterr().out):
        assert (outcome["added"], outcome["updated"], outcome["sweeps"], outcome["conflicts"]) == ([], [], [], [])
    assert members(tmp_path / "runs.db") == home
    whole = ["sweep", "run", "machine-1/main.toml", "--seeds", "3", "--enqueue"]
    assert main(whole) == 0
    assert len(members(tmp_path / "runs.db")) == 6
    assert query(tmp_path / "runs.db", "SELECT count(*) FROM run") == [(6,)]


def test_a_shard_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.toml").write_text(SWEEP)
    assert main(["sweep", "run", "main.toml", "--shard", "5/5", "--enqueue"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["main.toml"]
