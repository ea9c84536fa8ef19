"""Write the policy of a run as files that need no dapo."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options.shared import Db, Modules, Run
from dapo_cli.terminal import console


class Format(StrEnum):
    """What is written beside the card."""

    ALL = "all"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"


def export_policy(
    run: Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="A new folder [default: RUN-policy].")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="all, safetensors or onnx.")
    ] = Format.ALL,
    force: Annotated[bool, typer.Option("--force", help="Replace an older export.")] = False,
    db: Db = None,
    modules: Modules = None,
) -> None:
    """Write the policy of a run as files that need no dapo: weights (safetensors), an ONNX model, and a card (JSON)."""
    from importlib.util import find_spec

    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.training.policy import policy_files
    from dapo_cli.training.policy.trained import trained
    from store.records.summaries import evaluation_at
    from store.session import Database

    model = find_spec("onnx") is not None
    if format_ == Format.ONNX and not model:
        raise BadInput("ONNX needs a package: pip install 'dapo-cli[onnx]', or use --format safetensors")
    with Database.read(database_location(db)) as database, trained(database, run, modules or ()) as policy:
        for remark in policy.remarks:
            console.info(remark)
        folder = out or Path(f"{policy.name}-policy")
        recorded = evaluation_at(database, policy.run["id"], policy.step)
        files = policy_files.contents(
            policy, recorded, weights=format_ != Format.ONNX, model=model and format_ != Format.SAFETENSORS
        )
    policy_files.write_folder(folder, files, force=force)
    if format_ == Format.ALL and not model:
        console.info("without policy.onnx: to have it, pip install 'dapo-cli[onnx]' and repeat this with --force")
    console.info(f"wrote {', '.join(files)}")
    console.write(str(folder))
