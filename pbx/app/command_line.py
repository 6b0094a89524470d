"""The group of all commands: options before the command, one line about wrong words or a full disk."""

import errno
import io
import os
import sys
from typing import Any, Final

import click
from click.exceptions import NoArgsIsHelpError

from pbx.app.report import report_error

# The world's failures, that may meet any file; others are bugs of ours, and show where.
OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EPIPE})


class CommandLine(click.Group):
    """Says in one line what is wrong with the words that it was given; exit code 2."""

    def main(self, *args: Any, **options: Any) -> Any:
        as_json = "--json" in (options.get("args") or (args[0] if args else None) or sys.argv[1:])
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal has no letters for
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
            sys.stdout.flush()
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
        except OSError as error:
            if error.errno not in OF_THE_DISK:
                raise
            _give_up_output()
            if error.errno != errno.EPIPE:  # who reads has seen enough, as `head`
                report_error(f"not all could be written: {error.strerror}", as_json=False)
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


def _give_up_output() -> None:
    """What stdout still holds goes nowhere, or the interpreter would try once more and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
