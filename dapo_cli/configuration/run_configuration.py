"""From what the user typed to one validated configuration: defaults → preset → file → command line.

Every value remembers its origin, and the database keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

import algorithms
from algorithms.core.hyperparameters import SharedHyperparameters
from algorithms.core.types import Spaces
from algorithms.family.contract import Algorithm, OnPolicyAlgorithm
from dapo_cli.configuration import remarks, setting_files
from dapo_cli.configuration.assignments import literal
from dapo_cli.configuration.project_file import find_project_file, read_toml
from dapo_cli.errors import BadInput, did_you_mean
from store.schema import added

M = TypeVar("M", bound=BaseModel)
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
NOT_SETTINGS = ("db", "preset", "tags", "note", "tuning")  # names that a file may hold and that no run is configured by


class Settings(BaseModel):
    """What every run has, whatever its algorithm."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    algo: str = Field(description="algorithm")
    env: str = Field(description="Gymnasium environment")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of every random number of the run")
    steps: int = Field(1_000_000, ge=1, lt=2**63, description="environment steps")
    eval_every: int = Field(10_000, ge=0, description="steps between evaluations; 0: only one, at the end")
    eval_episodes: int = Field(10, ge=1, description="episodes per evaluation, played with mean actions")
    checkpoint_every: int = Field(10_000, ge=0, description="steps between checkpoints; 0: only one, at the end")
    log_every: int = Field(1000, ge=1, description="steps over which each value of a diagnostic is the mean")
    keep_replay: bool = Field(False, description="keep the replay buffer of a completed run")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to train; auto: a GPU if there is one")
    compile: Literal["auto", "on", "off"] = Field("auto", description="compile the update; auto: if the run is long")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the update's matrix products; bf16, the rest in fp32, is experimental"
    )
    threads: int = Field(1, ge=1, le=1024, description="CPU threads of the update")


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run, and where each value came from."""

    settings: Settings
    hyperparameters: SharedHyperparameters
    origins: Mapping[str, str]  # name -> default, preset, file or command line
    tags: tuple[str, ...] = ()
    note: str | None = None
    tuning: bool = False  # it chooses hyperparameters: its numbers are not for reporting

    @property
    def algorithm(self) -> Algorithm | OnPolicyAlgorithm:
        """The module of the algorithm."""
        return algorithms.load(self.settings.algo)

    def resolved(self, spaces: Spaces) -> RunConfig:
        """The same with the values that depend on the environment filled in; BadInput for actions of another kind."""
        algo, env = self.settings.algo, self.settings.env
        if spaces.kind not in algorithms.actions_of(self.algorithm):
            raise BadInput(
                f"{algo} does not handle {spaces.kind} actions, which {env} has"
                f"{' with bins' * bool(self.hyperparameters.bins)}: use --algo {' or '.join(_handling(spaces.kind))}"
            )
        try:
            return replace(self, hyperparameters=self.hyperparameters.resolved(spaces))
        except ValueError as error:
            raise BadInput(f"{algo} on {env}: {error}") from error

    def rows(self) -> list[dict[str, Any]]:
        """One row a value for the table `hyperparameter`: name, value, origin, symbol."""
        rows = []
        for model in (self.settings, self.hyperparameters):
            for name, field in type(model).model_fields.items():
                if name not in ("algo", "env", "seed"):  # columns of `run`
                    value = getattr(model, name)
                    value = list(value) if isinstance(value, tuple) else value
                    origin = self.origins.get(name, "default")
                    rows.append({"name": name, "value": value, "origin": origin, "symbol": symbol(field)})
        return rows


def load_algorithm(name: str) -> Algorithm | OnPolicyAlgorithm:
    """The algorithm of that name; raises BadInput for an unknown one, and for a plug-in that is none."""
    known = algorithms.names()
    if name not in known:
        raise BadInput(f"unknown algorithm '{name}': {did_you_mean(name, known)}")
    try:
        algorithm = algorithms.load(name)
    except Exception as error:  # whatever a plug-in's own code raises
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f"the algorithm '{name}' cannot be loaded ({cause}): repair or uninstall its package") from error
    kind = OnPolicyAlgorithm if algorithms.on_policy(algorithm) else Algorithm
    offered = {*kind.__annotations__, *vars(kind)}
    missing = sorted(part for part in offered if not part.startswith("_") and not hasattr(algorithm, part))
    if missing:
        raise BadInput(
            f"the algorithm '{name}' lacks {', '.join(missing)}: its package must offer all of docs/plugin.md"
        )
    declared = getattr(algorithm, "ACTIONS", algorithms.KINDS)
    if isinstance(declared, str) or not declared or not set(declared) <= set(algorithms.KINDS):
        raise BadInput(
            f"the algorithm '{name}' declares ACTIONS = {declared!r}: "
            f"its package must give a set of {' or '.join(algorithms.KINDS)}, or both"
        )
    if kind is OnPolicyAlgorithm and hasattr(algorithm, "explore"):
        raise BadInput(f"the algorithm '{name}' has an explore, which learning from rollouts has no use for: remove it")
    return algorithm


def _handling(kind: str) -> Iterator[str]:
    """The algorithms that handle actions of this kind; a plug-in that cannot be loaded is none."""
    for name in algorithms.names():
        with suppress(BadInput):
            if kind in algorithms.actions_of(load_algorithm(name)):
                yield name


def resolve(
    options: Mapping[str, Any],
    assignments: Iterable[str] = (),
    config_file: Path | None = None,
    preset: str | None = None,
    tags: Iterable[str] = (),
    note: str | None = None,
    directory: Path | None = None,
    tuning: bool | None = None,
) -> RunConfig:
    """The configuration that these command-line values give in this directory (default: the working directory).

    `options` maps names to values, None for an option that was not given; `assignments` are the `key=value` of --set.
    Raises BadInput with one line that names the culprit and the remedy.
    """
    typed = given(options, assignments)
    files = [file for file in (find_project_file(directory or Path.cwd()), config_file) if file is not None]
    contents = [(str(file), read_toml(file)) for file in files]
    top: dict[str, Any] = {}
    for _, content in contents:
        top |= {name: value for name, value in content.items() if not isinstance(value, dict)}

    algo, env = (typed.get(name, top.get(name)) for name in ("algo", "env"))
    for name, value in (("algo", algo), ("env", env)):
        if not isinstance(value, str) or not value:
            raise BadInput(f'no {name} given: name one with --{name}, or as {name} = "…" in dapo.toml')
    assert isinstance(algo, str)
    assert isinstance(env, str)
    algorithm = load_algorithm(algo)
    known = set(Settings.model_fields) | set(algorithm.Config.model_fields)

    preset = preset or top.get("preset")
    if not isinstance(preset, str | None):
        source = next(source for source, content in reversed(contents) if "preset" in content)
        raise BadInput(f'preset = {preset!r} in {source}: a preset is named in quotes, such as preset = "paper"')
    layers: list[tuple[str, str, dict[str, Any]]] = []
    if preset:
        source = f"preset {preset}"
        content = setting_files.preset(str(preset))
        layers.append(("preset", source, setting_files.applicable(content, algo, env, source)))
    for source, content in contents:
        layers.append(("file", source, setting_files.applicable(content, algo, env, source)))
    layers.append(("command line", "the command line", typed))

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    sources: dict[str, str] = {}
    for origin, source, layer in layers:
        for name, value in layer.items():
            if name in NOT_SETTINGS and origin != "command line":
                continue
            if name not in known:
                hint = f"{did_you_mean(name, known)} (see dapo algos {algo})"
                raise BadInput(f"unknown setting '{name}' for {algo} in {source}: {hint}")
            values[name], origins[name], sources[name] = value, origin, source
    values |= {"algo": algo, "env": env}
    told = {name: source for source, content in contents for name in content}
    all_tags = remarks.tags([*remarks.tags(top.get("tags", []), told.get("tags", "")), *remarks.tags(list(tags))])
    note = remarks.note(top.get("note"), told.get("note", "")) if note is None else remarks.note(note)
    tuning = tuning if tuning is not None else top.get("tuning", False)
    if not isinstance(tuning, bool):
        raise BadInput(f"tuning = {tuning!r} in {told['tuning']} is not possible: tuning must be true or false")
    return build(values, origins, sources, all_tags, note, tuning)


def build(
    values: Mapping[str, Any],
    origins: Mapping[str, str],
    sources: Mapping[str, str],
    tags: tuple[str, ...] = (),
    note: str | None = None,
    tuning: Any = False,
) -> RunConfig:
    """The configuration of these values, `algo` and `env` among them; passes over unknown names. Raises BadInput."""
    if not isinstance(tuning, bool):
        raise BadInput(f"tuning = {tuning!r} is not possible: tuning must be true or false")
    settings = _validated(Settings, values, sources)
    hyperparameters = _validated(load_algorithm(settings.algo).Config, values, sources)
    return RunConfig(settings, hyperparameters, origins, tags, note, tuning)


def given(options: Mapping[str, Any], assignments: Iterable[str] = ()) -> dict[str, Any]:
    """What was typed, as values by name: options that are not None, then the `key=value` of --set."""
    typed = {name: value for name, value in options.items() if value is not None}
    return typed | dict(_assignment(text) for text in assignments)


def restore(run: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> RunConfig:
    """The configuration of a run that the database holds, as it was resolved then."""
    rows = list(rows)
    values = added.completed(run["algo"], {row["name"]: row["value"] for row in rows})
    values |= {name: run[name] for name in ("algo", "env", "seed")}
    algorithm = load_algorithm(run["algo"])
    sources = dict.fromkeys(values, "the database")
    unknown = set(values) - set(Settings.model_fields) - set(algorithm.Config.model_fields)
    if unknown:
        raise BadInput(
            f"run {run['id']} has a setting '{min(unknown)}' that {run['algo']} lacks: use the dapo that made it"
        )
    return RunConfig(
        _validated(Settings, values, sources),
        _validated(algorithm.Config, values, sources),
        {row["name"]: row["origin"] for row in rows},
        tuple(run.get("tags", ())),
        run.get("note"),
        run.get("kind") == "tuning",
    )


def changed(config: RunConfig, values: Mapping[str, Any], tags: Iterable[str], note: str | None) -> RunConfig:
    """The same with other `Settings`, typed on the command line, and with tags and a note of its own."""
    sources = dict.fromkeys(values, "the command line")
    settings = _validated(Settings, {**config.settings.model_dump(), **values}, sources)
    origins = {**config.origins, **dict.fromkeys(values, "command line")}
    tags, note = remarks.tags(list(tags)), remarks.note(note)
    return replace(config, settings=settings, origins=origins, tags=tags, note=note)


def identity(config: RunConfig) -> str:
    """What a resolved configuration computes, as a hash: two runs with the same one give the same numbers."""
    from store.records import configurations  # here, as SQLAlchemy would slow down whoever needs no database

    settings = config.settings
    values = {row["name"]: row["value"] for row in config.rows()}
    return configurations.configuration(settings.algo, settings.env, settings.seed, values)


def seeded(config: RunConfig, seed: int) -> RunConfig:
    """The same with another seed."""
    settings = _validated(Settings, {**config.settings.model_dump(), "seed": seed}, {"seed": "--seeds"})
    return replace(config, settings=settings)


def symbol(field: FieldInfo) -> str | None:
    """The papers' symbol of a hyperparameter, such as β."""
    extra = field.json_schema_extra
    value = extra.get("symbol") if isinstance(extra, dict) else None
    return value if isinstance(value, str) else None


def kinds(field: FieldInfo) -> set[Any]:
    """The types of value that a field takes beside words: {int}, {float}, {tuple}."""

    def of(annotation: Any) -> set[Any]:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            return set()
        if origin is tuple:
            return {tuple}
        return of(args[0]) if origin is Annotated else set().union(*map(of, args)) if args else {annotation}

    return of(field.annotation)


def describe_range(field: FieldInfo) -> str:
    """What a field accepts, in words: "auto or a number > 0", "relu | tanh", "a list of whole numbers ≥ 1"."""
    return _accepted(field.annotation, field.metadata)


def _accepted(annotation: Any, limits: Iterable[Any]) -> str:
    """The words for an annotation such as `Annotated[float, Field(gt=0)] | Literal["auto"]` under these limits."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(map(str, args))
    if origin is Annotated:
        inner = [limit for entry in annotation.__metadata__ for limit in getattr(entry, "metadata", [entry])]
        return _accepted(args[0], [*limits, *inner])
    if origin is tuple:
        return f"a list, such as [256, 256], each {_accepted(args[0], ())}"
    if args:  # a union; its words first
        return " or ".join(_accepted(arg, ()) for arg in sorted(args, key=lambda arg: "Literal" not in str(arg)))
    bounds = [
        f"{sign} {bound:g}"
        for limit in limits
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if (bound := getattr(limit, name, None)) is not None
    ]
    return " ".join([KINDS.get(annotation, "of another kind"), " and ".join(bounds)]).strip()


def _assignment(text: str) -> tuple[str, Any]:
    """`key=value`, the value read as a TOML literal if it is one and as a bare string otherwise."""
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name:
        raise BadInput(f"--set takes key=value, such as --set beta=0.3, not '{text}'")
    if name in ("algo", "env"):
        raise BadInput(f"--set {name}=… is not possible: use --{name}")
    parsed = literal(value)
    return name, value if parsed is None else parsed


def _validated(model: type[M], values: Mapping[str, Any], sources: Mapping[str, str]) -> M:
    own = {name: value for name, value in values.items() if name in model.model_fields}
    wrong = [
        name for name, value in own.items() if isinstance(value, bool) and bool not in kinds(model.model_fields[name])
    ]
    wrong += [name for name, value in own.items() if _is_huge(value)]
    if not wrong:  # pydantic would take true for 1
        try:
            return model.model_validate(own)
        except ValidationError as error:
            wrong = [str(error.errors()[0]["loc"][0])]
    name = wrong[0]
    if _is_huge(own[name]):
        shown = repr(own[name])
        shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
        raise BadInput(f"{name} = {shown} in {sources[name]} is out of range: write whole numbers below 2^63")
    accepted = describe_range(model.model_fields[name])
    raise BadInput(f"{name} = {own[name]!r} in {sources[name]} is not possible: {name} must be {accepted}")


def _is_huge(value: Any) -> bool:
    """Whether it is, or a list holds, a whole number that no column and no tensor can hold."""
    if isinstance(value, list | tuple):
        return any(map(_is_huge, value))
    return isinstance(value, int) and abs(value) >= 2**63
