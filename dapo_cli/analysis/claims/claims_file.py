"""Claims written down before the runs: a TOML file that says which runs decide what, by which rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dapo_cli.analysis.claims import rules
from dapo_cli.analysis.selection import measures
from dapo_cli.configuration.project_file import read_toml
from dapo_cli.errors import BadInput, did_you_mean, naming
from dapo_cli.filters.grammar import parse
from dapo_cli.statistics.differences import MIN_DECIDED


class Claim(BaseModel):
    """One claim. `runs` and `base` are filters, and so is `scale`: a margin is a share of what those runs learned.

    `over`: the settings that tell the groups among `runs` apart; `groups`: how many there are to be, each of `seeds`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    text: str
    rule: str
    runs: str = Field(min_length=1)
    base: str = ""
    over: list[str] = []
    groups: int = Field(default=1, ge=1)
    envs: list[str] = Field(min_length=1)
    seeds: int = Field(default=10, ge=MIN_DECIDED)
    measure: str = "final"
    margin: float = Field(default=0.2, gt=0, le=1)
    scale: str = Field(default="algo = 'sac'", min_length=1)
    where: str = ""

    def filter_of(self, runs: str, env: str) -> str:
        """These runs in this environment, among those that the claim is about."""
        quoted = env.replace("'", "''")
        return " and ".join(f"({part})" for part in (f"env = '{quoted}'", self.where, runs) if part)


SHARED = ("envs", "seeds", "measure", "margin", "scale", "where")
"""What may stand at the head of the file, for every claim that does not say otherwise."""


def read(path: Path) -> list[Claim]:
    """The claims of a file, in its order. Raises BadInput."""
    content = read_toml(path)
    entries = content.pop("claim", None)
    if not entries or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadInput(f"{path}: there is no claim: write each under [[claim]]")
    for key in content:
        if key not in SHARED:
            raise BadInput(f"{path}: nothing is called '{key}' there: {did_you_mean(key, (*SHARED, 'claim'))}")
    claims = [_claim(f"{path}: claim {entry.get('name', n)}", content | entry) for n, entry in enumerate(entries, 1)]
    names = [claim.name for claim in claims]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"{path}: two claims are called '{twice}': give each a name of its own")
    return claims


def _claim(place: str, entry: dict[str, Any]) -> Claim:
    try:
        claim = Claim.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise BadInput(f"{place}: nothing is called '{key}': {did_you_mean(key, Claim.model_fields)}") from error
        raise BadInput(f"{place}: {key}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    if claim.rule not in rules.RULES:
        raise BadInput(f"{place}: there is no rule '{claim.rule}': {did_you_mean(claim.rule, rules.RULES)}")
    if not claim.base and claim.rule not in rules.BASELESS:
        raise BadInput(f'{place}: "{claim.rule}" than what? Name the runs with base = "…"')
    if claim.base and claim.rule in rules.BASELESS:
        raise BadInput(f'{place}: "{claim.rule}" has no base: leave it out, or choose another rule')
    if not claim.over and claim.rule in rules.GROUPED:
        raise BadInput(f'{place}: "{claim.rule}" to what? Name the settings with over = ["…"]')
    if bool(claim.over) != (claim.groups > 1):
        raise BadInput(f'{place}: several groups need both over = ["…"], the settings, and groups = …, their number')
    if len(set(claim.envs)) < len(claim.envs):
        raise BadInput(f"{place}: an environment stands twice in envs: name each once")
    for key in ("runs", "base", "scale", "where"):
        if text := getattr(claim, key):
            with naming(f"{place}: {key}"):
                parse(text)
    with naming(f"{place}: measure"):
        measure = measures.parse(claim.measure)
    if not measure.is_return:
        raise BadInput(f"{place}: {claim.measure} is no return, and has no random policy to be measured from")
    return claim
