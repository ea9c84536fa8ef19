"""Prove on this machine what dapo promises: exact resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options import completion
from dapo_cli.options.shared import Json, whole_number
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.selftest.resume_test import Certificate

STEPS = 2000

UNLIKE = ("learning_starts", "rollout_steps", "checkpoint_every")  # settings that are smaller than in a real run


def selftest(
    resume: Annotated[bool, typer.Option("--resume", help="A run that is killed and resumed is the same run.")] = False,
    algo: Annotated[
        str, typer.Option(metavar="NAME", help="Algorithm.", autocompletion=completion.algorithms)
    ] = "dapo-kl",
    env: Annotated[
        str, typer.Option(metavar="ID", help="Environment.", autocompletion=completion.environments)
    ] = "HalfCheetah-v4",
    steps: Annotated[
        int | None, typer.Option(metavar="N", parser=whole_number, help="Steps of each run [default: 2000].")
    ] = None,
    kills: Annotated[int, typer.Option(metavar="K", help="How often the second run is killed.")] = 3,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of both runs.")] = 0,
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    compile_: Annotated[str, typer.Option("--compile", metavar="WHEN", help="auto, on or off.")] = "auto",
    as_json: Json = False,
) -> None:
    """Train twice in a temporary folder, once killed again and again and resumed, and compare every bit."""
    from dapo_cli.selftest.resume_test import prove_resume

    if not resume:
        raise BadInput("say what to test: dapo selftest --resume")
    options = ("--device", device, "--compile", compile_)
    certificate = prove_resume(algo, env, steps or STEPS, kills, seed=seed, options=options, tell=console.info)
    if as_json:
        kept = certificate._asdict()
        console.print_json({**kept, "kills": [kill._asdict() for kill in certificate.kills]})
    else:
        _print(certificate)
    if not certificate.identical:
        raise typer.Exit(1)


def _print(certificate: Certificate) -> None:
    run, machine = certificate.run, dict(certificate.machine)
    kills = (
        f"{kill.step} ({kill.into_episode} into an episode; from {kill.resumed_from})" for kill in certificate.kills
    )
    console.print_fields(
        {
            "run": f"{run['algo']} on {run['env']}, seed {run['seed']}, {run['steps']} steps",
            "computed": f"{'compiled' if run['compiled'] else 'eager'}, {run['device']}, threads: {run['threads']}",
            "unlike a real run": ", ".join(f"{name} {run[name]}" for name in UNLIKE if name in run),
            "processor": str(machine.pop("processor")),
            "versions": ", ".join(f"{name} {version}" for name, version in machine.items()),
            "killed at steps": ", ".join(kills),
        },
        indent=0,
    )
    console.write("")
    rows = []
    for kind, whole in certificate.undisturbed.items():
        resumed = certificate.resumed[kind]
        rows.append((kind, str(whole["number"]), whole["sha256"]))
        if resumed != whole:
            rows.append(("", str(resumed["number"]), f"{resumed['sha256']} after the kills"))
    console.print_table(("compared", "number", "SHA-256 of all"), rows, right=("number",))
    console.write("")
    same = "identical: the killed run is, bit for bit, the undisturbed one"
    console.write(same if certificate.identical else f"DIFFERENT in: {', '.join(certificate.differences)}")
