"""Commands that are listed from a table and imported only when one of them is used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context, HelpFormatter

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
"""How every help page behaves: two spellings, lines no longer than this many characters."""


class Command(NamedTuple):
    """One line of the table: a name of one or two words, the module, the function in it, one line of help."""

    name: str
    module: str
    function: str
    help: str

    def load(self) -> TyperCommand:
        """Import the function and build the command from its annotations; its docstring is the help page."""
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        function = getattr(import_module(self.module), self.function)
        app.command(self.name.split()[-1], context_settings=SETTINGS)(function)
        command = cast("TyperCommand", typer.main.get_command(app))
        for parameter in command.params:
            if isinstance(parameter, TyperArgument):  # its name says what it is, as an option's does
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # noqa: ARG005
        return command


Table = dict[str, tuple[Command, ...]]
"""Heading on the help page -> the commands under it."""


class CommandGroup(TyperGroup):
    """The commands of `table`. Two-word names make groups: `policy check` is `check` in the group `policy`."""

    table: ClassVar[Mapping[str, tuple[Command, ...]]] = {}

    def __init__(self, **attributes: Any) -> None:
        # Suggestions for a mistyped name and listings read the names alone: empty commands stand in until one is used.
        attributes["commands"] = {word: TyperCommand(word) for word in self._named()}
        super().__init__(**attributes)

    @classmethod
    def _named(cls) -> dict[str, list[Command]]:
        """First word -> the commands whose names begin with it."""
        named: dict[str, list[Command]] = {}
        for command in (command for commands in cls.table.values() for command in commands):
            named.setdefault(command.name.split()[0], []).append(command)
        return named

    def get_command(self, ctx: Context, cmd_name: str) -> AnyCommand | None:  # noqa: ARG002 (as the base class has it)
        """The command of this name, imported now; a group of two-word commands; or none."""
        match self._named().get(cmd_name):
            case None:
                return None
            case [Command(name) as only] if name == cmd_name:
                return only.load()
            case several:
                return _group_of(cmd_name, several)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002
        """List the table under its headings, without importing anything."""
        width = max((len(command.name) for commands in self.table.values() for command in commands), default=0)
        for heading, commands in filter(itemgetter(1), self.table.items()):
            with formatter.section(heading):
                formatter.write_dl([(command.name.ljust(width), command.help) for command in commands])


def make_group(name: str, table: Table, describe: Any) -> CommandGroup:
    """A group with the options and the help page of the function `describe`."""
    cls = type("Group", (CommandGroup,), {"table": table})
    app = typer.Typer(
        name=name,
        cls=cls,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings=SETTINGS,
        subcommand_metavar="COMMAND [OPTIONS]",
        options_metavar="",
    )
    app.callback()(describe)
    return cast("CommandGroup", typer.main.get_command(app))


def _group_of(word: str, commands: list[Command]) -> CommandGroup:
    def describe() -> None:
        pass

    inner = tuple(command._replace(name=command.name.removeprefix(f"{word} ")) for command in commands)
    return make_group(word, {"Commands": inner}, describe)
