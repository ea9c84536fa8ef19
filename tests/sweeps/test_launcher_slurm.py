"""Workers as a Slurm job array: the script, submitit's own executor on this machine, and a make-believe Slurm."""

from __future__ import annotations

import os
import pickle
import pickletools
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import submitit  # here: its import closes logging's handlers, and within a test absl's would close the runner's stderr
from launching import RUNS, SWEEP, finish, query, record, start, wait_for

from dapo_cli.errors import BadInput
from dapo_cli.sweeps.work.launchers import Request, launch, slurm

CHECKPOINTED = "SELECT 1 FROM run JOIN checkpoint ON run.id = run_id WHERE status = 'running'"


def options(script: str) -> dict[str, str]:
    lines = [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH ")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_the_script(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ("partition=cpu", "time=1-12:30", "exclusive", "mem=4G", "comment=a $(touch x); b")
    launch("slurm", Request("runs.db", "main", workers=8, jobs=2, cpus=1.5, gpus=0.5, slurm=asked), dry_run=True)
    script = capsys.readouterr().out
    found = options(script)
    expected = {
        "array": "0-7%8",
        "cpus-per-task": "3",
        "gpus-per-node": "1",
        "job-name": "dapo-main",
        "time": str(36 * 60 + 30),
        "signal": "USR2@120",
        "requeue": "",
        "exclusive": "",
        "mem": "4G",
        "partition": "cpu",
        "open-mode": "append",
        "comment": "'a $(touch x); b'",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert f"submitit.core._submit {tmp_path}/runs.db.slurm" in script
    assert "wckey" not in found
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_job_lasts_a_day_unless_told_otherwise(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    launch("slurm", Request("runs.db", workers=1), dry_run=True)
    found = options(capsys.readouterr().out)
    assert (found["time"], found["cpus-per-task"], "gpus-per-node" in found) == ("1440", "1", False)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("90:30", 90), ("2:00:00", 120), ("1-0", 1440), ("1-2:05", 1565), ("2-01:02:03", 2942)],
)
def test_times_are_those_of_slurm(text, minutes):
    submission = slurm.plan(Request("runs.db", workers=1, slurm=(f"time={text}",)))
    assert submission.parameters["time"] == minutes


@pytest.mark.parametrize(
    "text",
    ["", "=x", "time", "time=", "time=soon", "time=3", "time=1:2:3:4", "array=0-3", "--output=/tmp/x", "signal=KILL@9",
     "a b=c", "comment=a\nscancel -u me", "x\x1b=1"],
)  # fmt: skip
def test_bad_options_are_refused(text):
    with pytest.raises(BadInput, match="--slurm"):
        slurm.plan(Request("runs.db", workers=1, slurm=(text,)))


def test_what_submitit_pickles_is_a_command_line():
    worker = slurm.plan(Request("runs.db", "main", workers=1)).worker
    text = pickle.dumps(worker)
    named = {argument for _, argument, _ in pickletools.genops(text) if isinstance(argument, str)}
    assert {name for name in named if name.startswith(("dapo", "store", "torch"))} == {
        "dapo_cli.sweeps.work.launchers.slurm"
    }
    assert vars(pickle.loads(text)) == vars(worker)


def test_without_slurm_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="there is no Slurm here"):
        launch("slurm", Request("runs.db", workers=1))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs").chmod(0o777)
    with pytest.raises(BadInput, match="others can write to"):
        slurm._closed(tmp_path / "logs")


def test_a_worker_that_fails_fails_its_job():
    with pytest.raises(RuntimeError, match="exit code 2"):
        slurm.Worker(["worker", "--db", "/nowhere/runs.db"], {})()
    assert slurm.Worker(["--version"], {})() == 0


@pytest.mark.slow
def test_a_job_out_of_time_stops_cleanly_and_is_requeued(tmp_path, undisturbed):
    """Under submitit's local executor, which sends the signal that Slurm sends, and starts the job again."""
    finish(start(tmp_path, "sweep", "run", "main.toml", "--enqueue"))
    database = tmp_path / "runs.db"
    executor = submitit.LocalExecutor(tmp_path / "logs")
    executor.update_parameters(timeout_min=10)
    (job,) = slurm.submit(executor, slurm.plan(Request(str(database), "main", workers=1)))
    wait_for(lambda: query(database, CHECKPOINTED))
    controller = job._process.pid
    (task,) = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    os.kill(int(task), signal.SIGUSR2)
    wait_for(lambda: len(query(database, "SELECT id FROM worker")) == 2)
    assert query(database, "SELECT message FROM worker ORDER BY started_at")[0][0].startswith("stopped")
    assert job.result() == 0
    assert record(database) == undisturbed
    assert query(database, "SELECT count(*) FROM event WHERE kind = 'resumed'") == [(1,)]


@pytest.mark.slow
def test_the_array_is_submitted_and_its_script_runs(tmp_path):
    """With programs in the place of sbatch and srun that keep the script and start what they are told to."""
    tools = tmp_path / "bin"
    tools.mkdir()
    srun = 'while [ "${1#-}" != "$1" ]; do case $1 in --output|--error) shift;; esac; shift; done; exec "$@"'
    for name, text in (("sbatch", f"cp $1 {tmp_path}/script; echo Submitted batch job 17"), ("srun", srun)):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    (tmp_path / "store.py").write_text("raise SystemExit('a file of the user')\n")
    (tmp_path / "main.toml").write_text(SWEEP)
    command = [sys.executable, "-P", "-m", "dapo_cli", "sweep", "run", "main.toml"]
    options = ["--launcher", "slurm", "--workers", "2", "--slurm", "partition=cpu"]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "job 17: 2 workers" in done.stdout
    assert "is a file" in done.stderr  # and what to do where the workers are on several machines
    assert (tmp_path / "runs.db.slurm").stat().st_mode & 0o077 == 0
    bash = shutil.which("bash") or "bash"
    job = {"SLURM_ARRAY_JOB_ID": "17", "SLURM_JOB_ID": "18", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}
    tasks = [
        subprocess.Popen(
            [bash, str(tmp_path / "script")],
            cwd=tmp_path,
            env={**environment, **job, "SLURM_ARRAY_TASK_ID": str(index)},
        )
        for index in range(2)
    ]
    assert [task.wait(400) for task in tasks] == [0, 0]
    assert query(tmp_path / "runs.db", "SELECT count(*) FROM run WHERE status = 'completed'") == [(RUNS,)]
    assert query(tmp_path / "runs.db", "SELECT count(*) FROM worker") == [(2,)]
