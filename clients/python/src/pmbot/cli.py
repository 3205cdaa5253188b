"""The `pmbot` command line."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from pmbot import __version__
from pmbot.errors import NotAllowed, PmbotError, Unauthenticated

FAILED = 1
USAGE = 2
NOT_ALLOWED = 4

app = typer.Typer(
    name="pmbot",
    help="pm-bot's control plane, from the command line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """pm-bot's control plane, from the command line."""
    if version:
        typer.echo(f"pmbot {__version__}")
        raise typer.Exit()


@app.command(
    # The options are the demo's own; it also answers its --help.
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def demo(context: typer.Context) -> None:
    """Show on this machine how a run is proposed, approved, asks, and is answered."""
    # Imported here: LangGraph takes a second to load, which the other commands should not wait for.
    from pmbot.demo.command import demo as show

    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(show)
    code = typer.main.get_command(command).main(context.args, prog_name="pmbot demo", standalone_mode=False)
    raise typer.Exit(code if isinstance(code, int) else 0)


def main() -> NoReturn:
    """Runs the command line and exits: 0 done, 1 failed, 2 wrong usage, 4 not allowed."""
    try:
        app()
    except PmbotError as error:
        _complain(error)
        sys.exit(NOT_ALLOWED if isinstance(error, (NotAllowed, Unauthenticated)) else FAILED)
    sys.exit(0)


def _complain(error: PmbotError) -> None:
    """Says what went wrong, and how to mend it, in a line or two."""
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), str(error)))
    if error.hint:
        console.print(Text.assemble(("fix: ", "bold"), error.hint))
