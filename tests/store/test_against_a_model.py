"""Commands drawn at random give the same answers upon SQLite, upon PostgreSQL and upon a plain model in memory."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from a_model import Key, Model, Real

from store.errors import StoreError

SEQUENCES = int(os.environ.get("MODEL_SEQUENCES", "1"))
LENGTH = 120
COMMANDS = {
    "begin": 3,
    "record": 3,
    "finish": 3,
    "mark": 2,
    "freeze": 2,
    "thaw": 1,
    "delete": 1,
    "enqueue": 2,
    "set_state": 1,
    "retry": 1,
    "claim": 4,
    "release": 2,
    "crashed": 2,
    "merge": 2,
}


class Drawn:
    """What is drawn next, from what the models hold. Runs of the second database have another environment."""

    def __init__(self, chance: random.Random, models: list[Model]) -> None:
        self._chance, self._models, self._seed = chance, models, 0

    def next(self) -> tuple[int, str, tuple[Any, ...]] | None:
        """Which database, the command, and its arguments; None if nothing can be done just now."""
        chance = self._chance
        command = chance.choices(list(COMMANDS), list(COMMANDS.values()))[0]
        which = chance.choice([0, 1]) if command in ("begin", "record", "finish", "mark") else 0
        model = self._models[which]
        own = [key for key in model.runs if key[0] == "ab"[which]]
        going = [key for key in own if model.runs[key].status == "running"]
        name, worker = chance.choice("xyz"), chance.choice(["one", "two"])
        if command == "begin":
            stopped = [key for key in own if model.runs[key].status == "interrupted"]
            return which, command, (chance.choice([self._new(which), *stopped[:1]]),)
        if command in ("record", "finish"):
            if not going:
                return None
            key = chance.choice(going)
            done = model.runs[key].episodes
            numbers = range(done, done + chance.randint(1, 3))
            return (
                which,
                command,
                (key, numbers if command == "record" else chance.choice(["completed", "interrupted"])),
            )
        pool = sorted(model.runs) + ([("a", -1)] if chance.random() < 0.1 else [])
        keys = chance.sample(pool, k=min(len(pool), chance.randint(1, 3)))
        if command in ("mark", "freeze", "delete", "release", "crashed") and not keys:
            return None
        if command == "enqueue":
            wanted = [key for key in keys if key in own] + [self._new(which) for _ in range(chance.randint(0, 2))]
            return (which, command, (name, wanted)) if wanted else None
        arguments: dict[str, tuple[Any, ...]] = {
            "mark": (keys, chance.choice("pq"), chance.choice("rs"), chance.choice([None, "n", "m"])),
            "freeze": (name, keys),
            "thaw": (name,),
            "delete": (keys[:2],),
            "set_state": (name, chance.choice(["active", "paused", "cancelled"])),
            "retry": (name,),
            "claim": (worker, chance.choice([None, name])),
            "merge": (),
        }
        if command in ("release", "crashed"):
            held = [(key, run.worker) for key, run in model.runs.items() if run.worker]
            key, worker = chance.choice([*held, (keys[0], worker)])
            return which, command, (key, worker, *([chance.random() < 0.2] if command == "crashed" else []))
        return which, command, arguments[command]

    def _new(self, which: int) -> Key:
        self._seed += 1
        return "ab"[which], self._seed


def answer(databases: list[Any], which: int, command: str, arguments: tuple[Any, ...]) -> Any:
    try:
        if command == "merge":
            return databases[0].merge(databases[1])
        return getattr(databases[which], command)(*arguments)
    except StoreError as error:
        return type(error).__name__


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("sequence", range(SEQUENCES))
def test_the_same_commands_have_the_same_answers(location: str, tmp_path: Path, sequence: int):
    models = [Model(), Model()]
    real = [Real(location), Real(str(tmp_path / "other.db"))]
    drawn = Drawn(random.Random(sequence), models)
    did: Counter[str] = Counter()
    try:
        while sum(did.values()) < LENGTH:
            step = drawn.next()
            if step is None:
                continue
            expected = answer(models, *step)
            assert answer(real, *step) == expected, step
            assert [database.state() for database in real] == [model.state() for model in models], step
            did[step[1]] += 1
    finally:
        for database in real:
            database.close()
    assert set(did) == set(COMMANDS)
