"""A made-up training's rows, recorded and read back."""

from __future__ import annotations

import math
import time

from store import frames


def record(recorder, number, *, return_=None, loss=None, length=100):
    """Episode `number` of a made-up training, with a metric at its end and an evaluation after every second one."""
    step = (number + 1) * 100
    wall_time = time.time()
    recorder.episode(number, step, number / 3 if return_ is None else return_, length, wall_time, False, True)
    recorder.metrics(step, {"loss": math.nan if number == 5 else number / 7, "steady": 1.0} | (loss or {}))
    if number % 2:
        for index, actions in enumerate(("mean", "sampled")):
            recorder.evaluation(step, actions, 0, number + index, 50)
    recorder.progress(step, wall_time)


def rows(database, run_id):
    """Everything on record but the wall times."""
    return {
        "episodes": frames.episodes(database, [run_id]).drop(columns="wall_time").to_csv(),
        "evaluations": frames.evaluations(database, [run_id]).to_csv(),
        "metrics": frames.metrics(database, [run_id]).to_csv(),
    }
