"""What the server has kept of calls and of what they cost, as its commands show it."""

import json
from typing import Any

from tests.phones.support.server import PbxServer
from tests.phones.support.waiting import wait_until

Row = dict[str, Any]


def calls(server: PbxServer, *words: str) -> list[Row]:
    """What `pbx calls` finds, the latest first."""
    found: list[Row] = json.loads(server.command("calls", "--json", *words))
    return found


def wait_calls(server: PbxServer, *words: str, count: int = 1) -> list[Row]:
    """Those that began in this test, as soon as there are so many."""

    def find() -> list[Row]:
        found = [each for each in calls(server, *words) if each["started_at"] >= server.marked_at]
        return found if len(found) >= count else []

    return wait_until(f"{count} calls {' '.join(words)} are recorded", find, poll=0.3)


def payers(record: Row) -> list[str]:
    """Who paid for the legs outside."""
    return [leg["payer"] for leg in record["legs"] if leg["trunk"]]


def used(server: PbxServer, key: str) -> Row:
    """What `pbx usage` says of an extension."""
    rows = json.loads(server.command("usage", "--json"))["extensions"]
    row: Row = next(each for each in rows if each["key"] == key)
    return row
