"""What is asked of a comparison: everything that its numbers depend on, beside the database."""

from __future__ import annotations

from dataclasses import dataclass, field

from dapo_cli.analysis.selection.measures import FINAL, Measure
from dapo_cli.analysis.selection.selected import Choice
from dapo_cli.errors import BadInput
from dapo_cli.statistics.estimates import RESAMPLES


@dataclass(frozen=True)
class Margin:
    """A difference that matters: `number`, which is in per cent of a scale if `relative`."""

    text: str  # as it was typed: the keys of exports rest on it
    number: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> Margin:
        """`20%`, or a difference in return such as `200`; raises BadInput."""
        stripped = text.strip()
        try:
            number = float(stripped.removesuffix("%"))
        except ValueError:
            number = -1.0
        if not 0 < number < float("inf"):
            raise BadInput(f"'{text}' is no size: write 20%, or a difference in return such as 200")
        return cls(text, number, stripped.endswith("%"))

    def __str__(self) -> str:
        return self.text.strip()

    def of(self, scale: float) -> float:
        """The difference, per cent being of this scale."""
        return self.number / 100 * abs(scale) if self.relative else self.number


@dataclass(frozen=True)
class Request:
    """The options of `dapo compare` and `dapo table`.

    `rows` and `cols` are keys; those that tell configurations apart are added to them, but for `pool_over`. `base` is a
    filter: the others are held against its runs; `vary` makes it an ablation. `normalise` is an algorithm or "file",
    whose return is 1 (a random policy's is 0), `references` a file of returns.
    """

    choice: Choice = field(default_factory=Choice)
    rows: tuple[str, ...] = ("algo",)
    cols: tuple[str, ...] = ("env",)
    measure: Measure = field(default_factory=lambda: Measure(FINAL))
    statistic: str = "mean"
    normalise: str | None = None
    references: str | None = None
    base: str | None = None
    vary: tuple[str, ...] = ()
    pool_over: tuple[str, ...] = ()
    equivalent: Margin | None = None
    allow: tuple[str, ...] = ()
    strict: bool = False
    resamples: int = RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.rows and not self.vary:
            raise BadInput("--rows: name at least one key, such as algo")
        if shared := sorted(set(self.rows) & set(self.cols)):
            raise BadInput(f"{shared[0]} is both in --rows and in --cols: name it in one of them")
        for key in self.pool_over:
            if key in self.keys:
                raise BadInput(f"--pool-over: {key} is a key of the table: leave it out here or there")
            if key in ("algo", "env", "seed", "tag"):
                raise BadInput(f"--pool-over: {key} is no setting of a configuration: name one, such as beta")
        if self.vary and self.base is None:
            raise BadInput("--vary: against which base? Name its runs, such as --base \"algo = 'dapo-kl'\"")
        if self.vary and "env" in self.vary:
            raise BadInput("--vary: environments are compared side by side: name env in --cols instead")
        if self.equivalent is not None and self.base is None:
            raise BadInput("--equivalent: to what? Name the runs with --base, such as --base \"algo = 'sac'\"")
        if self.statistic == "gap" and self.normalise is None:
            raise BadInput(
                "--stat: the optimality gap needs normalised scores: add --normalise, such as --normalise sac"
            )
        if self.normalise is not None and not self.measure.is_return:
            raise BadInput(f"--normalise: {self.measure} is no return: leave it out")
        if self.normalise == "file" and self.references is None:
            raise BadInput("--normalise file: name the file with --references FILE.toml")

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys whose values a reader sees."""
        return (*self.rows, *self.cols, *self.vary)

    def arguments(self, *, shape: bool = True) -> list[str]:
        """The options that ask for this; `shape`: those of rows and columns, too."""
        arguments = ["--rows", ",".join(self.rows), "--cols", ",".join(self.cols)] if shape else []
        if self.vary:
            arguments = ["--cols", ",".join(self.cols)] if shape else []
        arguments += ["--measure", str(self.measure), "--stat", self.statistic]
        for option, value in (
            ("--normalise", self.normalise),
            ("--references", self.references),
            ("--base", self.base),
            ("--vary", ",".join(self.vary)),
            ("--pool-over", ",".join(self.pool_over)),
            ("--equivalent", self.equivalent and self.equivalent.text),
            ("--allow", ",".join(self.allow)),
        ):
            arguments += [option, value] if value else []
        arguments += ["--strict"] * self.strict
        if self.resamples != RESAMPLES:
            arguments += ["--resamples", str(self.resamples)]
        arguments += ["--seed", str(self.seed)] if self.seed else []
        return arguments + self.choice.arguments()
