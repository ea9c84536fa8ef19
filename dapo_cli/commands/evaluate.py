"""Play episodes with the policy of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.options.shared import Db, Json, Modules, Run
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.training.policy.playback import Comparison


def evaluate(
    run: Run,
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", metavar="N", min=1, help="Episodes [default: the run's eval_episodes]."),
    ] = None,
    sampled: Annotated[bool, typer.Option("--sampled", help="Draw actions instead of taking the mean ones.")] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Other episodes than those of the run's seed.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option("--video", metavar="FILE", help="Film the first episode: an .mp4 or a .gif.")
    ] = None,
    db: Db = None,
    modules: Modules = None,
    as_json: Json = False,
) -> None:
    """Play episodes with the policy of a run, from its last checkpoint; nothing is written to the database.

    With mean actions the first episodes are those of the run's own evaluation, and must return the same.
    """
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.statistics.estimates import estimate
    from dapo_cli.terminal.formatting import fixed_text, mean_text
    from dapo_cli.training.evaluation import Played
    from dapo_cli.training.policy import playback
    from dapo_cli.training.policy import video as filming
    from dapo_cli.training.policy.trained import trained
    from store.records.summaries import evaluation_at
    from store.session import Database

    if video:
        filming.prepare(video)
    with (
        Database.read(database_location(db)) as database,
        trained(database, run, modules or (), seed=seed, filmed=video is not None) as policy,
    ):
        settings = policy.config.settings
        for remark in policy.remarks:
            console.info(remark)
        if video:
            console.info("filming the first episode; without a graphics card this takes a while")
        played = playback.play(policy, episodes or settings.eval_episodes, sampled=sampled, seed=seed, video=video)
        comparable = not sampled and seed in (None, settings.seed)
        recorded = (
            [Played(*row) for row in evaluation_at(database, policy.run["id"], policy.step)] if comparable else []
        )
        comparison = playback.compare(policy, played, recorded)
    returns = [episode.return_ for episode in played]
    length = sum(episode.length for episode in played) / len(played)
    summary = estimate(returns)
    actions = "sampled" if sampled else "mean"
    if as_json:
        result = {"run": policy.run["id"], "algo": settings.algo, "env": settings.env, "step": policy.step}
        result |= {"actions": actions, "seed": settings.seed if seed is None else seed, "n": summary.n}
        result |= {
            "mean": summary.value,
            "std": summary.std,
            "min": min(returns),
            "max": max(returns),
            "length": length,
        }
        result |= {"episodes": [{"return": episode.return_, "length": episode.length} for episode in played]}
        result |= {"recorded": comparison.verdict if comparison else None, "video": video}
        console.print_json(result)
    else:
        row = {"run": policy.name, "algo": settings.algo, "env": settings.env, "step": str(policy.step)}
        row |= {"actions": actions, "return": mean_text(returns), "min": fixed_text(min(returns), 1)}
        row |= {"max": fixed_text(max(returns), 1), "length": f"{length:.0f}", "n": str(summary.n)}
        console.print_table(tuple(row), [tuple(row.values())])
    if video:
        console.info(f"wrote {video}")
    _report(comparison, policy.step)


def _report(comparison: Comparison | None, step: int) -> None:
    if comparison is None:
        return
    n = comparison.episodes
    first = "the first episode is" if n == 1 else f"the first {n} episodes are"
    if comparison.first_difference is None:
        console.info(f"{first} as the run recorded at step {step}, to the last bit")
        return
    number, then, now = comparison.first_difference
    changed = "; ".join(comparison.changed) or "neither the versions nor the processor have changed since"
    console.warning(
        f"not what the run recorded at step {step}: episode {number} returned {then.return_!r} in {then.length} steps "
        f"then and {now.return_!r} in {now.length} now ({changed})"
    )
