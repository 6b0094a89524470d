"""How a command says that it failed: words for people on stderr, JSON on stdout."""

import json
import sys
from typing import Any

from pbx.office.mistakes import FileError


def report_error(error: Exception | str, as_json: bool) -> None:
    """Print what went wrong: a line, or a line for each mistake of a file."""
    if as_json:
        answer: dict[str, Any] = {"error": str(error)}
        if isinstance(error, FileError):
            answer["mistakes"] = [
                {
                    "file": mistake.file,
                    "line": mistake.line,
                    "key": mistake.key,
                    "found": mistake.found,
                    "allowed": mistake.allowed,
                    "nearest": mistake.nearest,
                }
                for mistake in error.mistakes
            ]
        print(json.dumps(answer), flush=True)  # noqa: T201
    else:
        said = str(error) if isinstance(error, FileError) else f"pbx: {error}"
        print(said, file=sys.stderr, flush=True)  # noqa: T201
