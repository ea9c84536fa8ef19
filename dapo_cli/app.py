"""The command `dapo`: a command's module is imported only when it is asked for, and one handler shows every error.

Adding a command is adding `commands/<name>.py` with a function (or a Typer application of subcommands) called `<name>`;
the first line of the file's docstring is its line in `dapo --help`. A name that Python reserves gets a `_` at its end.
A parameter that is a dataclass of `dapo_cli.options` stands for the options that are its fields.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import keyword
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import dapo_cli
from dapo_cli import namesakes
from dapo_cli.errors import BadInput, DapoError, Interrupted, did_you_mean
from dapo_cli.options.expansion import expand_groups
from dapo_cli.terminal import console, streams

COMMANDS = Path(__file__).parent / "commands"
FIRST = (
    "train",
    "resume",
    "sweep",
    "worker",
    "reproduce",
    "evaluate",
    "export-policy",
    "algos",
    "presets",
    "runs",
    "show",
    "compare",
    "table",
    "why",
    "verify",
    "plot",
    "report",
    "bundle",
    "freeze",
    "power",
    "decide",
    "mark",
    "ledger",
    "compute",
    "import",
    "export",
    "browse",
    "merge",
    "theory",
    "delete",
    "db",
    "selftest",
)
"""The order in `dapo --help`; commands that are not named here follow by name."""

COLLECT_AFTER = 50_000
"""New objects before the garbage collector looks for cycles. Importing makes hundreds of thousands that all stay, and
the interpreter's own 700 costs a tenth of every command's start."""

LARGEST_INTEGER = 2**63 - 1

LIBRARIES = ("torch", "gymnasium", "mujoco", "sqlalchemy", "numpy")


class LazyGroup(TyperGroup):
    """The commands are the files of `commands/`."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        names = [file.stem.rstrip("_").replace("_", "-") for file in COMMANDS.glob("[!_]*.py")]
        return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        return _load(cmd_name) if cmd_name in self.list_commands(ctx) else None

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        names = self.list_commands(ctx)
        if args[0] not in names and not ctx.resilient_parsing:
            raise BadInput(f"unknown command '{args[0]}': {did_you_mean(args[0], names)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in self.list_commands(ctx)])

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _own_exits():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        with _own_exits():
            return super().invoke(ctx)


class _ReaderGoneError(Exception):
    """Nobody reads our standard output any more."""


@contextlib.contextmanager
def _own_exits() -> Iterator[None]:
    """Keep from Typer what it would turn into exit codes of its own."""
    try:
        yield
    except (KeyboardInterrupt, typer.Abort) as error:
        raise Interrupted() from error
    except BrokenPipeError as error:
        raise _ReaderGoneError from error


def _summary(name: str) -> str:
    import ast

    source = (COMMANDS / f"{_stem(name)}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _stem(name: str) -> str:
    """The module of a command, which is also its function: `import` is a word of Python's, so its is `import_`."""
    stem = name.replace("-", "_")
    return f"{stem}_" if keyword.iskeyword(stem) else stem


@cache
def _load(name: str) -> Any:
    """The command of `commands/<name>.py`, with the options that every command has."""
    stem = _stem(name)
    member = getattr(importlib.import_module(f"dapo_cli.commands.{stem}"), stem)
    if isinstance(member, typer.Typer):
        command = typer.main.get_command(member)
        command.name = name
    else:
        command = _command(member, name)
    leaves = list(getattr(command, "commands", {"": command}).values())
    if getattr(command, "invoke_without_command", False):  # a group that is a command itself, such as `dapo sweep`
        leaves.append(command)
    for leaf in leaves:
        leaf.params += _command(_verbosity, "").params
        _bound_integers(leaf)
    return command


def _command(function: Any, name: str) -> Any:
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command(name)(expand_groups(function))
    return typer.main.get_command(holder)


def _bound_integers(command: Any) -> None:
    """Have the command refuse whole numbers that no column of a database and no array index can hold."""
    names = {param.name: param.opts[0] for param in command.params}
    function = command.callback

    def bounded(**values: Any) -> Any:
        for name, value in values.items():
            if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
                raise BadInput(f"{names[name]}: {value} is out of range: write a number below 2^63")
        return function(**values)

    command.callback = bounded


def _set_verbose(value: bool) -> None:
    if value:
        console.set_verbosity(1)


def _set_quiet(value: bool) -> None:
    if value:
        console.set_verbosity(-1)


Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", callback=_set_verbose, expose_value=False)]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Only warnings and errors.", callback=_set_quiet, expose_value=False),
]


def _verbosity(verbose: Verbose = False, quiet: Quiet = False) -> None:
    """Template of the options that every command has."""


def _print_versions(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    console.write(f"dapo {dapo_cli.__version__}")
    console.write(f"python {sys.version.split()[0]}")
    for library in LIBRARIES:
        try:
            console.write(f"{library} {version(library)}")
        except PackageNotFoundError:
            console.write(f"{library} not installed")
    raise typer.Exit()


Version = Annotated[
    bool,
    typer.Option("--version", help="Print versions.", callback=_print_versions, is_eager=True, expose_value=False),
]

app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, context_settings={"help_option_names": ["--help", "-h"]})


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Version = False,  # noqa: ARG001
    verbose: Verbose = False,  # noqa: ARG001
    quiet: Quiet = False,  # noqa: ARG001
) -> None:
    """Train DAPO and its relatives on MuJoCo, keep every episode, and tabulate what was learned."""
    if ctx.invoked_subcommand is None:
        console.write(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: sys.argv) and return the exit code; errors are one line on standard error."""
    gc.set_threshold(COLLECT_AFTER)
    console.set_verbosity(0)
    streams.open_closed_ones()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show "±" must not end a command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        namesakes.check()
    except ImportError as error:
        return _fail(str(error), BadInput.exit_code)
    return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    from store.errors import StoreError

    try:
        code = typer.main.get_command(app).main(argv, prog_name="dapo", standalone_mode=False)
        sys.stdout.flush()
    except DapoError as error:
        return _fail(str(error), error.exit_code)
    except StoreError as error:
        return _fail(_wrong_value(error) or str(error), 2)
    except typer.TyperException as error:
        message = error.format_message().rstrip(".").replace(": Value error, ", ": ", 1)  # pydantic's words
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        return _fail(message[:1].lower() + message[1:] + hint, 2)
    except (BrokenPipeError, _ReaderGoneError):
        # The reader has seen enough (`dapo runs | head`): end as a program killed by SIGPIPE does.
        _abandon_stdout()
        return 128 + signal.SIGPIPE
    except OSError as error:
        # What no module foresaw, such as standard output on a full disk.
        console.detail(traceback.format_exc())
        _abandon_stdout()
        place = f" ({error.filename})" if error.filename else ""
        return _fail(f"the system refused: {error.strerror or error}{place}", 2)
    except Exception as error:
        # Rows are trusted, and a foreign database may hold anything: then its wrong value is the cause.
        found = _wrong_value(error)
        if found is None:
            raise
        console.detail(traceback.format_exc())
        return _fail(found, 2)
    return code if isinstance(code, int) else 0


def _wrong_value(error: Exception) -> str | None:
    """One line about a value that no dapo writes, in a database that this process used; None where it is not that."""
    if "store.session" not in sys.modules:
        return None
    from store.integrity import wrong_values
    from store.session import Database

    return wrong_values.cause(error, reversed(Database.opened))


def _abandon_stdout() -> None:
    """Spare the interpreter a second failure when it flushes what is left at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    console.error(message)
    return code
