"""The training loop, the only one: of one run, or of several that take their steps and updates together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dapo_cli.training.loop import Loop, StoppedBySignal
from dapo_cli.training.progress import Display, combined
from dapo_cli.training.signals import Stop
from store.errors import StoreError, Vanished

DISPLAY_SECONDS = 0.5


def drive(
    loops: Sequence[Loop],
    update: Callable[[], None],
    display: Display,
    stop: Stop,
    ended: Callable[[Loop, Exception], None],
) -> None:
    """Trains until the budget is spent; the loops are at the same step, and `update` updates all of their learners.

    `ended` hears of a run that cannot go on: it diverged, its environment raised, or the update that it shares did. The
    others do go on. What ends all of them is raised: StoreError, StoppedBySignal (their checkpoints are written),
    Vanished (they are, in the copy to which the database moved), KeyboardInterrupt.
    """
    active = list(loops)

    def failed(loop: Loop, error: Exception) -> None:
        active.remove(loop)
        loop.report()
        ended(loop, error)

    def each(work: Callable[[Loop], None]) -> None:
        for loop in active[:]:
            try:
                work(loop)
            except (StoreError, StoppedBySignal):
                raise
            except Exception as error:
                failed(loop, error)

    def update_all() -> None:
        try:
            update()
        except Exception as error:  # of the algorithm, the compiler or the device
            for loop in active[:]:
                failed(loop, error)

    def evaluate() -> None:
        try:
            each(lambda loop: loop.evaluate() if loop.evaluation_due else None)
        except StoppedBySignal:
            each(Loop.save)
            raise
        if active:
            display.evaluated(combined([loop.progress for loop in active]))

    def show() -> None:
        if active:
            display.update(combined([loop.progress for loop in active]))

    def leave_lost_database() -> None:
        if active and (line := active[0].recorder.rescued):
            each(lambda loop: loop.save(again=True))
            raise Vanished(line)

    def steps() -> None:
        next_display = 0.0
        if active and active[0].evaluation_due:  # an earlier session was stopped in the midst of it
            evaluate()
        while active and not active[0].over:
            begins = active[0].progress.updating_since is None and active[0].learner.about_to_update
            if begins:
                for loop in active:
                    loop.progress.compiling = True
                show()
            each(Loop.advance)
            if not active:
                break
            update_all()
            each(Loop.settle)
            now = time.perf_counter()
            if begins:
                for loop in active:
                    loop.progress.compiling, loop.progress.updating_since = False, (loop.progress.step, now)
            if active and active[0].evaluation_due:
                evaluate()
            if now >= next_display:
                next_display = now + DISPLAY_SECONDS
                each(Loop.report)
                show()
                leave_lost_database()
            if stop.requested:
                each(Loop.save)
                raise StoppedBySignal
            if active and active[0].checkpoint_due:
                each(Loop.save)
                leave_lost_database()
        each(Loop.save)

    try:
        each(Loop.begin)
        steps()
    finally:  # however it ends, the record says how far it came
        for loop in active:
            loop.report()
