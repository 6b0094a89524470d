"""`pbx explain`: what would become of a call, in words, by the rules that calls are decided by."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool

from pbx.app.calls import parse_moment
from pbx.app.printable import printable
from pbx.call.exchange import Exchange
from pbx.call.logins import Login, Logins, is_over
from pbx.errors import PbxError
from pbx.office.snapshot import Office
from pbx.rules.facts import Used
from pbx.rules.foresee import decide, foresee, read_caller
from pbx.rules.still_world import StillWorld
from pbx.rules.usage import month_of
from pbx.sip.location import LocationService
from pbx.store.caller_ids import CallerIds
from pbx.store.hot_desk import HotDesk
from pbx.store.store import Store
from pbx.store.usage import Usage

LONGEST: Final = 255  # what the record of a call keeps of what was dialled

Answer = Mapping[str, Any]


def read_moment(text: str, office: Office) -> datetime:
    """A time as it is typed, of the office's zone when it names none; in UTC.

    Raises:
        PbxError: it is no time.
    """
    try:
        return datetime.fromtimestamp(
            parse_moment(text, ZoneInfo(office.settings.timezone), is_end=False), UTC
        )
    except (ValueError, OverflowError, OSError):
        raise PbxError(f"{text!r} is further away than the calendar goes") from None


def explanation(office: Office, world: StillWorld, caller: str, dialled: str, basis: str) -> dict[str, Any]:
    """The answer, as plain values.

    Args:
        basis: what it rests on, in words.

    Raises:
        PbxError: `caller` is nobody who could call, or nothing is dialled.
    """
    if not 0 < len(dialled) <= LONGEST:
        raise PbxError(f"what is dialled has 1 to {LONGEST} characters")
    who, in_words = read_caller(office, world, caller)
    steps = foresee(office, world, who, decide(office, world, who, dialled))
    zone = ZoneInfo(office.settings.timezone)
    return {
        "basis": basis,
        "at": world.now.astimezone(zone).isoformat(timespec="seconds"),
        "timezone": zone.key,
        "caller": {"words": in_words, **asdict(who)},
        "dialled": dialled,
        "steps": [asdict(step) for step in steps],
    }


def as_lines(answer: Answer) -> Iterator[str]:
    """For people: the reasons are numbered, and what happens then is indented below."""
    yield f"{answer['basis']}; {answer['at'][:16].replace('T', ' ')} ({answer['timezone']})"
    yield printable(f"{answer['caller']['words']}, dials {answer['dialled']}")
    number = 0
    for step in answer["steps"]:
        if step["when"]:
            yield f"{step['when']}:"
        for why in step["decided"]:
            number += 1
            yield printable(f"  {number:>2}. {why}")
        for what in step["happens"]:
            yield printable(f"      -> {what}")


# --- what is so --------------------------------------------------------------------------------------------

OF_SERVER: Final = "as it is in the running server"
LATER: Final = (
    "by the running server, for another time: phones and logins as they are, no calls in progress, "
    "usage of that month"
)
OF_DATABASE: Final = (
    "no server runs here; by what its database holds: office, phones that were registered, logins, usage"
)


def later(
    world: StillWorld, office: Office, at: datetime, usage: Mapping[str, Used], logins: Iterable[Login]
) -> StillWorld:
    """The world at another time: who has hung up by then, and whom the office has logged out, does not count.

    Args:
        usage: of the month of that time.
        logins: as they are now.
    """
    rule, zone = office.settings.hot_desk_logout, office.settings.timezone
    there = {each.device: each.member for each in logins if not is_over(each.since, rule, zone, at)}
    return replace(world, now=at, busy={}, locked=frozenset(), usage=usage, logins=there)


def stored_world(store: Store, office: Office, at: datetime) -> StillWorld:
    """What the database says of a server that does not run.

    Raises:
        StoreError: the database fails.
    """
    location, logins = LocationService(), Logins()
    location.restore(store.load_bindings(), 0.0, time.time())
    saved = (
        Login(row.device, row.member, datetime.fromtimestamp(row.since, UTC)) for row in HotDesk(store).load()
    )
    logins.restore(saved, office)
    registered = frozenset(name for name in location.usernames() if location.is_registered(name, 0.0))
    world = StillWorld(at, registered, approved=CallerIds(store).approved())
    return later(world, office, at, usage_at(store, office, at), logins.all)


def usage_at(store: Store, office: Office, at: datetime) -> dict[str, Used]:
    """What extensions have used of the month of a time."""
    return Usage(store).usage(month_of(at, office.settings.timezone))


class Explainer:
    """Answers for the running server; nothing changes by it."""

    def __init__(self, reactor: Any, store: Store, exchange: Exchange) -> None:
        self._reactor, self._store, self._exchange = reactor, store, exchange

    def explain(self, caller: str, dialled: str, at: str = "") -> "Deferred[Any]":
        """The command `explain`.

        Args:
            at: "" = now.
        """
        if not at:
            return succeed(self._answer(self._world(), caller, dialled, OF_SERVER))
        moment = read_moment(at, self._exchange.office)
        pool = self._reactor.getThreadPool()
        read = deferToThreadPool(self._reactor, pool, usage_at, self._store, self._exchange.office, moment)

        def at_moment(usage: Mapping[str, Used]) -> dict[str, Any]:
            world = later(self._world(), self._exchange.office, moment, usage, self._exchange.logins.all)
            return self._answer(world, caller, dialled, LATER)

        return read.addCallback(at_moment)

    def _world(self) -> StillWorld:
        return self._exchange.world_at(float(self._reactor.seconds()))

    def _answer(self, world: StillWorld, caller: str, dialled: str, basis: str) -> dict[str, Any]:
        return explanation(self._exchange.office, world, caller, dialled, basis)
