"""Another speaker in eSpeak NG's place: any command that reads a text on stdin and writes a WAV to stdout."""

import subprocess
from collections.abc import Sequence
from typing import Final

from pbx.media.prompt import RenderError, Voice

MAX_WAV_BYTES: Final = 200_000_000
LAST_WORDS: Final = 200


def run_command(command: Sequence[str], text: str, voice: Voice, limit_s: float) -> bytes:
    """The WAV that a command makes of a text.

    Args:
        command: the program and its arguments, with {language}, {gender}, {pitch} and {rate} in them.
        limit_s: it is killed when it takes longer.

    Raises:
        RenderError: it is not there, failed, or took too long.
    """
    values = {
        "{language}": voice.language,
        "{gender}": voice.gender,
        "{pitch}": str(voice.pitch),
        "{rate}": str(voice.rate),
    }
    arguments = []
    for argument in command:
        for name, value in values.items():
            argument = argument.replace(name, value)  # noqa: PLW2901  # one after the other
        arguments.append(argument)
    try:
        done = subprocess.run(  # noqa: S603  # what the administrator configured
            arguments, input=text.encode(), capture_output=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise RenderError(f"{command[0]} took more than {limit_s:.0f} s") from None
    except OSError as error:
        raise RenderError(f"{command[0]}: {error.strerror or error}") from None
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip()[-LAST_WORDS:]
        raise RenderError(
            f"{command[0]} ended with {done.returncode} and {len(done.stdout)} bytes of sound: {said}"
        )
    if len(done.stdout) > MAX_WAV_BYTES:
        raise RenderError(f"{command[0]} made {len(done.stdout):,} bytes; that is too much")
    return done.stdout
