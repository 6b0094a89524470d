"""What all scripts are asked on the command line, and how they go through the servers."""

import argparse
from collections.abc import Iterator, Sequence

from bench.support.peer import AbsentError, Peer
from bench.support.peers import PEERS, open_peer
from bench.support.results import Table


def parser(description: str | None, peers: Sequence[str] = tuple(PEERS)) -> argparse.ArgumentParser:
    """With --short, --peer and --keep."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--short", action="store_true", help="less than a minute, ours only")
    found.add_argument("--keep", action="store_true", help="into RESULTS.md although it is not a full run")
    found.add_argument("--peer", action="append", choices=peers, help="whom to measure (all)")
    found.add_argument("--under", default="", help="run the server under this command, such as a profiler")
    return found


def parse(found: argparse.ArgumentParser, *words: str) -> argparse.Namespace:
    """`options.full`: nothing was given that makes it less than the whole table."""
    options = found.parse_args(*words)
    defaults = {name: found.get_default(name) for name in vars(options)}
    options.full = all(defaults[name] == value for name, value in vars(options).items() if name != "keep")
    if options.short and not options.peer:
        options.peer = ["pbx"]
    return options


def each(
    names: Sequence[str], table: Table, accounts: int, *, under: str = "", **needs: object
) -> Iterator[Peer]:
    """Every server of `names` in turn, started; who cannot be measured is noted under the table."""
    for name in names:
        try:
            with open_peer(name, accounts, under, **needs) as peer:  # type: ignore[arg-type]
                yield peer
        except AbsentError as absent:
            table.absent(name, str(absent))
