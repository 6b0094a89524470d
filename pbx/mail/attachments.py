"""The folder of the files that go along with mail. Reads it: for a thread."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

YOUNG_S: Final = 3600.0  # a file that is younger may have a mail that is not written yet


def throw_away(folder: Path, wanted: Iterable[str], now: float) -> int:
    """Delete the files that no mail names any more.

    Args:
        wanted: paths of those that mail still names; the folder may have been another then.
        now: seconds since 1970.

    Returns:
        How many.
    """
    names = {Path(path).name for path in wanted}
    count = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in names and now - path.stat().st_mtime > YOUNG_S:
            path.unlink(missing_ok=True)
            count += 1
    return count
