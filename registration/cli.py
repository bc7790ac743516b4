"""The `envparity` command: joins the subcommands, and turns every exception into one line and an exit code.

A subcommand's module is imported when that subcommand is called: a warm restore takes a tenth of a second, imports included.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from registration.console import printable
from registration.errors import RegistrationError
from registration.invocation import Invocation

COMMANDS = {
    "capture": "capture:capture",
    "restore": "restore:restore",
    "verify": "verify:verify",
    "diff": "diff:diff",
    "attest": "attest:attest",
    "verify-attestation": "attestation:verify_attestation",
    "keygen": "keygen:keygen",
    "list": "shelf:list_snapshots",
    "inspect": "inspection:inspect",
    "size": "size:size",
    "tag": "retention:tag",
    "remove": "shelf:remove",
    "retain": "retention:retain",
    "gc": "shelf:collect",
    "check": "shelf:check",
    "optimize": "optimize:optimize",
    "deploy": "deploy:deploy",
    "serve": "serve:serve",
    "quickstart": "quickstart:quickstart",
}

#: Wrong use, or an error. 1 is kept for a check that failed and a difference that was found.
FAILED = 2
#: What a shell reports for a process that ended by SIGINT and by SIGPIPE.
INTERRUPTED = 130
PIPE_CLOSED = 141


class InterruptedRunError(RegistrationError):
    """Control-C."""


class CommandLine(click.Group):
    """The group. A subcommand returns its exit code; None is 0."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command = getattr(import_module(f"registration.commands.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"registration.commands.{module}.{name} is no command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        # Before click sees them: it would end with 1, which here means that a difference was found.
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            _drop_output()
            raise click.exceptions.Exit(PIPE_CLOSED) from error
        except KeyboardInterrupt as error:
            raise InterruptedRunError("interrupted; run the same command again") from error

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        invocation = extra.setdefault("obj", Invocation())
        extra.update(standalone_mode=False)
        extra["prog_name"] = "envparity"
        try:
            code = super().main(*args, **extra)
        except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
            code = _report(error, debug=invocation.debug)
        sys.exit(code or 0)


def _drop_output() -> None:
    """Nobody reads any more: whatever the interpreter still flushes at its end goes nowhere, without a complaint."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    click.echo(f"envparity: error: {describe_error(error)}", err=True)
    return INTERRUPTED if isinstance(error, (InterruptedRunError, click.Abort)) else FAILED


def describe_error(error: Exception) -> str:
    """One line for `error`: what went wrong and what to do."""
    from diffing.errors import DiffError
    from snapshot.errors import SnapshotError

    if isinstance(error, click.Abort):
        return "interrupted; run the same command again"
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "envparity"
        return f"{_one_line(error.format_message()).rstrip('.')} (see {where} --help)"
    if isinstance(error, click.ClickException):
        return _one_line(error.format_message())
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return _one_line(f"{place}{error.strerror}")
    if isinstance(error, DiffError):  # of a file of requirements there is a line for each problem
        return _one_line("; ".join(str(error).splitlines()))
    # Not str(error): a KeyError would put its message into quotes.
    if isinstance(error, (SnapshotError, RegistrationError, OSError)) and error.args:
        return _one_line(" ".join(map(str, error.args)))
    detail = f": {error}" if str(error) else ""
    return _one_line(f"unexpected {type(error).__name__}{detail} (run envparity --debug … to see where)")


def _one_line(text: str) -> str:
    return printable(" ".join(line.strip() for line in text.splitlines()))


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"envparity {version('envparity')}")
    except PackageNotFoundError as error:
        raise RegistrationError("envparity is not installed; run python -m pip install . in its source") from error
    ctx.exit()


@click.group(cls=CommandLine, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--store",
    "where",
    metavar="DIR",
    envvar="ENVPARITY_STORE",
    type=click.Path(file_okay=False),
    help="The store. Default: $ENVPARITY_STORE, or one in the user's data directory.",
)
@click.option(
    "--cache",
    metavar="DIR",
    envvar="ENVPARITY_CACHE",
    type=click.Path(file_okay=False),
    help="Unpacked layers on this node. Default: $ENVPARITY_CACHE, or `cache` in the store.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def main(ctx: click.Context, where: str | None, cache: str | None, debug: bool) -> None:
    """Capture, restore, verify and compare Python environments.

    \b
    Exit codes: 0 done, 1 a check failed or a difference was found,
                2 wrong use or an error
    """  # noqa: D301 (a backspace: click keeps the lines)
    if where == "":
        raise click.UsageError("--store is empty; give the directory of a store", ctx)
    invocation = ctx.ensure_object(Invocation)
    invocation.where = where
    invocation.cache = cache
    invocation.chosen = ctx.get_parameter_source("where") is click.core.ParameterSource.COMMANDLINE
    invocation.debug = debug
