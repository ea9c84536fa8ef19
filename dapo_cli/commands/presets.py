"""List the presets, or print one."""

from __future__ import annotations

import tomllib
from typing import Annotated

import typer

from dapo_cli.options import completion
from dapo_cli.options.shared import Json
from dapo_cli.terminal import console


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A preset.", autocompletion=completion.presets)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the presets, or print one: settings that come with dapo, for train --preset NAME."""
    from dapo_cli.configuration import setting_files

    if name is not None:
        text = setting_files.preset_text(name)
        if as_json:
            console.print_json({"name": name, "summary": setting_files.summary(text), "values": tomllib.loads(text)})
        else:
            console.write(text)
        return
    rows = [(preset, setting_files.summary(setting_files.preset_text(preset))) for preset in setting_files.presets()]
    if as_json:
        console.print_json([{"name": preset, "summary": summary} for preset, summary in rows])
    else:
        console.print_table(("preset", "what it is"), rows, whole=("preset",))
