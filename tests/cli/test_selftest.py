"""`dapo selftest --resume` certifies what is the same, and notices one flipped bit."""

from __future__ import annotations

import json

import pytest

from dapo_cli.selftest import killed_run
from dapo_cli.selftest.contents import contents
from dapo_cli.selftest.resume_test import prove_resume
from store.records import runs
from store.session import Database

TINY = ("--set=hidden_sizes=[16,16]", "--set=batch_size=8", "--compile=off")


@pytest.fixture
def tiny(monkeypatch):
    """Small networks and, where asked, a damaged state, for the command as typed."""

    def install(**keywords):
        def proving(*args, options, **others):
            return prove_resume(*args, options=(*options, *TINY), **others, **keywords)

        monkeypatch.setattr("dapo_cli.selftest.resume_test.prove_resume", proving)

    return install


def test_a_killed_run_is_certified(dapo, tiny, tmp_path):
    tiny()
    outcome = dapo(*"selftest --resume --env Pendulum-v1 --steps 250 --kills 1 --json".split())
    assert outcome.code == 0, outcome.err
    certificate = json.loads(outcome.out)
    assert certificate["identical"] is True
    assert certificate["undisturbed"] == certificate["resumed"]
    numbers = {kind: hashed["number"] for kind, hashed in certificate["resumed"].items()}
    assert numbers["episode"] == 1
    assert numbers["evaluation"] == 4
    assert numbers["transition"] == 250
    assert min(numbers.values()) > 0
    (kill,) = certificate["kills"]
    assert 0 < kill["resumed_from"] <= kill["step"] < 250
    assert kill["into_episode"] > 0
    assert certificate["machine"]["torch"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_one_flipped_bit_is_noticed(dapo, tiny):
    tiny(flip="actor")
    outcome = dapo(*"selftest --resume --env Pendulum-v1 --steps 150 --kills 1".split())
    assert outcome.code == 1
    assert "DIFFERENT in: " in outcome.out
    assert "tensor" in outcome.out.splitlines()[-1]


@pytest.mark.parametrize("name", [None, "actor", "critic_adam.mean"])
def test_hashes_tell_one_flipped_bit(dapo, trained_run, monkeypatch, name):
    """The same within this process: half a run, continued with and without damage."""
    command = f"train --from {trained_run} --steps 450 --eval-every 200 --set keep_replay=true -q"
    found = []
    for damage in (None, name):
        with monkeypatch.context() as patch:
            patch.setattr(killed_run.Loop, "restore", killed_run.Loop.restore)  # so that it is put back
            if damage:
                killed_run.flip_after_resume(damage)
            assert dapo(*command.split()).code == 0
        with Database.read("runs.db") as db:
            found.append(contents(db, runs.listing(db)[0]["id"]))
    assert found[0]["episode"].number > 0
    differing = [other for other in found[0] if found[0][other] != found[1][other]]
    assert ("tensor" in differing) if name else differing == []


@pytest.mark.slow
@pytest.mark.parametrize("flip", ["critic", "actor_adam.mean", "replay"])
def test_one_flipped_bit_of_any_part_is_noticed(flip):
    certificate = prove_resume("sac", "Pendulum-v1", 150, 1, options=(*TINY, "--set=batch_size=64"), flip=flip)
    assert not certificate.identical


CERTIFIED = [
    *((algo, "HalfCheetah-v4") for algo in ("sac", "dapo-kl", "dapo-l2", "mdpo", "ampo", "mampo")),
    *((algo, "Pendulum-v1") for algo in ("dapo-kl-star", "dapo-tsallis", "ppo", "dapo-l2-on")),
    *((algo, "CartPole-v1") for algo in ("sac", "dapo-l2", "mdpo-on", "dapo-kl-on")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "env"), CERTIFIED)
def test_every_algorithm_is_certified(algo, env):
    certificate = prove_resume(algo, env, 400, 3, options=TINY)
    assert certificate.differences == []
    assert len(certificate.kills) == 3


def test_what_cannot_be_proved_is_refused(refused):
    assert "selftest --resume" in refused("selftest")
    assert "--steps 60 is too little for --kills 3" in refused("selftest", "--resume", "--steps", "60")
