"""What is so at the moment, as the rules ask for it (`rules.facts.World`)."""

from collections.abc import Callable, Mapping, Set
from copy import copy
from datetime import datetime

from pbx.call.locks import Locks
from pbx.call.logins import Logins
from pbx.call.metering import Metering
from pbx.call.occupancy import Occupancy
from pbx.entropy import Entropy
from pbx.office.snapshot import Office
from pbx.rules.facts import Used
from pbx.rules.still_world import StillWorld
from pbx.sip.location import LocationService
from pbx.sip.stack import SipStack

CHANCES = 2**32


class CurrentWorld:
    """The world of a running exchange.

    Args:
        calendar: tells the time, in UTC.
    """

    def __init__(
        self,
        stack: SipStack,
        calendar: Callable[[], datetime],
        entropy: Entropy,
        location: LocationService,
        occupancy: Occupancy,
        metering: Metering,
        logins: Logins,
        locks: Locks,
    ) -> None:
        self._stack, self._calendar, self._entropy = stack, calendar, entropy
        self._location, self._occupancy = location, occupancy
        self._metering, self._logins, self._locks = metering, logins, locks
        self.approved: Mapping[str, Set[str]] = {}  # numbers that an extension may show besides its own
        self._turns: dict[str, int] = {}
        self._began_s = 0.0

    @property
    def now(self) -> datetime:
        return self._calendar()

    @property
    def chance(self) -> float:
        return self._entropy.below(CHANCES) / CHANCES

    def is_registered(self, username: str) -> bool:
        return self._location.is_registered(username, self._stack.now)

    def calls(self, key: str) -> int:
        return self._occupancy.calls(key)

    def idle_since(self, key: str) -> float:
        return self._occupancy.idle_since(key)

    def turn(self, group: str) -> int:
        return self._turns.get(group, 0)

    def took_turn(self, group: str) -> None:
        """The group has had one more call; "" is no group."""
        if group:
            self._turns[group] = self._turns.get(group, 0) + 1

    def used(self, key: str) -> Used:
        return self._metering.bound(key, self._began_s)

    def is_locked(self, subject: str) -> bool:
        return self._locks.is_locked(subject, self._stack.now)

    def member_at(self, username: str) -> str:
        return self._logins.member_at(username)

    def phones_of(self, member: str) -> tuple[str, ...]:
        return self._logins.phones_of(member)

    def approved_numbers(self, key: str) -> Set[str]:
        return self.approved.get(key, frozenset())

    def since(self, began_s: float) -> "CurrentWorld":
        """The same for a call that began so many seconds ago: its usage is that of the month back then."""
        world = copy(self)
        world._began_s = began_s
        return world

    def still(self, office: Office) -> StillWorld:
        """All of it as it is now, for what is asked about extensions, groups and phones of `office`."""
        keys = [extension.key for extension in office.extensions]
        return StillWorld(
            now=self.now,
            registered=frozenset(filter(self.is_registered, self._location.usernames())),
            logins={login.device: login.member for login in self._logins.all},
            busy={key: self.calls(key) for key in keys},
            idle={key: self.idle_since(key) for key in keys},
            turns=dict(self._turns),
            usage={key: self._metering.used(key) for key in keys},
            locked=frozenset(filter(self.is_locked, [f"passcode {key}" for key in keys])),
            approved=self.approved,
            chance=self.chance,
        )
