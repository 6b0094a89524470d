"""The group of all commands: options that may stand before the command, and one line about wrong words."""

import sys
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from pbx.app.report import report_error


class CommandLine(click.Group):
    """Says in one line what is wrong with the words that it was given; exit code 2."""

    def main(self, *args: Any, **options: Any) -> Any:
        as_json = "--json" in (options.get("args") or (args[0] if args else None) or sys.argv[1:])
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.UsageError as error:
            about = error.ctx.command_path if error.ctx is not None else "pbx"
            said = " ".join(error.format_message().split()).rstrip(".")
            report_error(f"{said} (see `{about} --help`)", as_json)
            sys.exit(2)
        except click.Abort:
            report_error("stopped; nothing was changed", as_json)
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)
