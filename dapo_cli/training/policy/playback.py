"""A trained policy plays again, and is compared with what its run recorded."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from dapo_cli.errors import BadInput, DapoError, in_one_line
from dapo_cli.training import provenance
from dapo_cli.training.evaluation import Played, evaluate
from dapo_cli.training.policy.trained import Trained
from dapo_cli.training.policy.video import filming

SAMPLING = 13  # stream of the random numbers of sampled actions; those of learner and loop are 0 to 3 and 10 to 12


class Comparison(NamedTuple):
    """The episodes that were played now and in the run's own evaluation at this step."""

    episodes: int
    first_difference: tuple[int, Played, Played] | None  # number, recorded, played now
    changed: tuple[str, ...]  # what is not as it was when the policy was saved: versions, the processor

    @property
    def verdict(self) -> Literal["same", "different"]:
        """For a program to read."""
        return "same" if self.first_difference is None else "different"


def play(
    trained: Trained, episodes: int, *, sampled: bool = False, seed: int | None = None, video: Path | None = None
) -> list[Played]:
    """Plays `episodes`; the first is filmed if `video` names a file. The same arguments give the same episodes.

    `sampled`: actions are drawn from the policy, with random numbers of `seed` (default: the run's) that no other part
    of the run uses. Raises BadInput, also for whatever the environment raises.
    """
    own = trained.config.settings.seed if seed is None else seed
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([own, SAMPLING, trained.step])))
    with ExitStack() as stack:
        film = stack.enter_context(filming(video, trained.environment)) if video else None

        def watch(number: int) -> None:
            if film and number == 0:
                film.take()

        try:
            return evaluate(
                trained.actor,
                trained.environment,
                trained.step,
                episodes,
                generator=generator if sampled else None,
                watch=watch,
            )
        except (DapoError, OSError):
            raise
        except Exception as error:  # whatever the environment's own code raises
            env = trained.config.settings.env
            raise BadInput(f"{env} failed while it was played ({in_one_line(error)}): correct it") from error


def compare(trained: Trained, played: list[Played], recorded: list[Played]) -> Comparison | None:
    """Episodes played with mean actions and the run's seed, beside those `recorded` at this step; None without any."""
    pairs = list(zip(recorded, played, strict=False))
    if not pairs:
        return None
    differences = ((number, then, now) for number, (then, now) in enumerate(pairs) if repr(then) != repr(now))
    before, now = trained.loaded.fingerprint, provenance.fingerprint({"device": "cpu"})
    changed = tuple(f"{key} was {before.get(key)}, is {now[key]}" for key in now if before.get(key) != now[key])
    return Comparison(len(pairs), next(differences, None), changed)
