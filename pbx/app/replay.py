"""`pbx apply --dry-run --replay DAYS`: which calls that there were another office would route differently.

Both offices decide in the same world: every phone is registered, nobody talks, nothing is used of any limit.
So what differs is due to settings alone, and neither outcome need be what became of the call.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, TextIO
from zoneinfo import ZoneInfo

from pbx.app.printable import printable
from pbx.office.snapshot import Office
from pbx.rules.decision import DialDecision, Reject
from pbx.rules.dialled import decide_dialled
from pbx.rules.facts import Caller
from pbx.rules.foresee import foresee
from pbx.rules.hot_desk import caller_of
from pbx.rules.inbound import decide_number
from pbx.rules.still_world import StillWorld

DAY_S: Final = 86_400.0

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One call; `when` is in the zone of the office as it was, `before` and `after` are its outcomes."""

    id: str
    when: str
    caller: str
    callee: str
    before: str
    after: str


class Replay:
    """Runs recorded calls through two offices, and counts them.

    Args:
        approved: numbers that an extension may show besides its own.
    """

    def __init__(self, before: Office, after: Office, approved: Mapping[str, Set[str]]) -> None:
        self.calls = self.different = self.unknown = 0
        self._before, self._after, self._approved = before, after, approved
        self._zone = ZoneInfo(before.settings.timezone)

    def differences(self, rows: Iterable[Row]) -> Iterator[Difference]:
        """The calls that the offices route differently, as they are found."""
        for row in rows:
            self.calls += 1
            outcomes = [self._route(office, row) for office in (self._before, self._after)]
            if not outcomes[0][0]:
                self.unknown += 1
            elif outcomes[0][0] != outcomes[1][0]:
                self.different += 1
                when = datetime.fromtimestamp(row["started_at"], self._zone).isoformat(" ", "seconds")[:19]
                words = [outcome + (f" ({why})" if why else "") for outcome, why in outcomes]
                yield Difference(row["id"], when, row["caller"], row["callee"], *words)

    def _route(self, office: Office, row: Row) -> tuple[str, str]:
        """What happens to a call, "" = nobody knows who called; and why it is refused."""
        body = row["body"]
        device, member = body.get("caller_device", ""), body.get("member", "")
        world = StillWorld(
            datetime.fromtimestamp(row["started_at"], UTC),
            logins={device: member} if member else {},
            approved=self._approved,
        )
        if device:
            found = office.device(device)
            if found is None:
                return f"nobody calls: there is no phone {device}", ""
            caller = caller_of(office, world, *found)
            return _outcome(office, world, caller, decide_dialled(office, world, caller, row["callee"]))
        way = next((leg.get("trunk", "") for leg in body.get("legs", ())[:1]), "")
        if not way:
            return "", ""
        if row["kind"] == "inbound":
            return _from_trunk(office, world, way, row)
        if office.gateway(way) is None:
            return f'nobody calls: there is no gateway "{way}"', ""
        caller = Caller(gateway=way)
        return _outcome(office, world, caller, decide_dialled(office, world, caller, row["callee"]))


def _from_trunk(office: Office, world: StillWorld, trunk: str, row: Row) -> tuple[str, str]:
    if office.trunk(trunk) is None:
        return f'nobody calls: there is no trunk "{trunk}"', ""
    is_known = row["caller"] not in ("", "anonymous")
    caller = Caller(number=row["caller"] if is_known else "", trunk=trunk, is_private=not is_known)
    number = row["body"].get("number") or row["callee"]
    return _outcome(office, world, caller, decide_number(office, world, caller, number))


def _outcome(office: Office, world: StillWorld, caller: Caller, decision: DialDecision) -> tuple[str, str]:
    """All that would happen, in one line, and why the caller is refused."""
    parts = []
    for step in foresee(office, world, caller, decision):
        what = ", ".join(step.happens)
        if what:
            parts.append(f"{step.when}: {what}" if step.when else what)
    return "; ".join(parts), decision.why if isinstance(decision, Reject) else ""


# --- shown -------------------------------------------------------------------------------------------------


def as_lines(replay: Replay, rows: Iterable[Row], days: int) -> Iterator[str]:
    """For people: three lines a call, then how many there were."""
    for each in replay.differences(rows):
        yield printable(f"{each.when}  {each.caller or 'a withheld number'} -> {each.callee}")
        yield printable(f"  before: {each.before}")
        yield printable(f"  after:  {each.after}")
    what = "call" if replay.calls == 1 else "calls"
    span = "day" if days == 1 else f"{days} days"
    yield f"{replay.calls} {what} of the last {span}: {replay.different} would be routed differently"
    if replay.unknown:
        yield f"{replay.unknown} of them were not replayed: how they came in was not recorded"


def write_json(replay: Replay, rows: Iterable[Row], answer: Mapping[str, Any], out: TextIO) -> None:
    """`answer` with one more key, "replay"; one call at a time is in memory."""
    out.write(f'{json.dumps(answer)[:-1]}, "replay": {{"different": [')
    before = ""
    for each in replay.differences(rows):
        out.write(f"{before}{json.dumps(asdict(each))}")
        before = ", "
    out.write(f'], "calls": {replay.calls}, "not_replayed": {replay.unknown}}}}}\n')
