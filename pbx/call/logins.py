"""Who is logged in at which hot-desk phone (product §4)."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pbx.immutable import immutable
from pbx.office.snapshot import Office


@immutable
class Login:
    """A member at a phone.

    Attributes:
        device: its SIP user.
        member: his email.
        since: in UTC.
    """

    device: str
    member: str
    since: datetime


class Logins:
    """At most one member at a phone, and one phone for a member.

    What ends a login here leaves calls in progress alone; whoever changes something saves `all`.
    """

    def __init__(self) -> None:
        self._by_device: dict[str, Login] = {}
        self._by_member: dict[str, Login] = {}

    @property
    def all(self) -> tuple[Login, ...]:
        """Every login, the oldest first."""
        return tuple(sorted(self._by_device.values(), key=lambda each: (each.since, each.device)))

    def member_at(self, username: str) -> str:
        """The email of who is logged in at a phone; "" = nobody."""
        login = self._by_device.get(username)
        return login.member if login is not None else ""

    def phones_of(self, email: str) -> tuple[str, ...]:
        """The SIP users of the phones where a member is logged in: one, or none."""
        login = self._by_member.get(email)
        return (login.device,) if login is not None else ()

    def login(self, username: str, email: str, now: datetime) -> None:
        """A member logs in: he leaves the phone where he was, and whoever was at this one leaves it."""
        for device in (username, *self.phones_of(email)):
            self.logout(device)
        self._put(Login(username, email, now))

    def logout(self, username: str) -> bool:
        """End the login at a phone; False: there is none."""
        login = self._by_device.pop(username, None)
        if login is None:
            return False
        del self._by_member[login.member]
        return True

    def restore(self, logins: Iterable[Login], office: Office) -> None:
        """Take over what was saved, as far as the office allows it; of two that meet the later counts."""
        for login in sorted(logins, key=lambda each: each.since):
            self.login(login.device, login.member, login.since)
        self.swap_office(office)

    def swap_office(self, office: Office) -> tuple[Login, ...]:
        """End what the office does not allow any more; returns that."""
        ended = tuple(each for each in self.all if not may_be_at(office, each.device, each.member))
        for login in ended:
            self.logout(login.device)
        return ended

    def expire(self, rule: str, zone: str, now: datetime) -> tuple[Login, ...]:
        """End what has lasted long enough ([office] hot_desk_logout, timezone); returns that."""
        if rule == "never":
            return ()
        ended = tuple(each for each in self.all if is_over(each.since, rule, zone, now))
        for login in ended:
            self.logout(login.device)
        return ended

    def _put(self, login: Login) -> None:
        self._by_device[login.device] = login
        self._by_member[login.member] = login


def is_hot_desk(office: Office, username: str) -> bool:
    """Whether members may log in at this phone."""
    found = office.device(username)
    return found is not None and found[0].hot_desking


def may_be_at(office: Office, username: str, email: str) -> bool:
    """Whether a member may be logged in at a phone: he needs an extension of his own to be there."""
    return (
        is_hot_desk(office, username)
        and office.member(email) is not None
        and office.extension_of(email) is not None
    )


def is_over(since: datetime, rule: str, zone: str, now: datetime) -> bool:
    """Whether a login of `since` (UTC) ends by itself until `now`.

    Args:
        rule: "never", hours such as "8h", or the time of day "18:00" in `zone`.
    """
    end = logout_at(since, rule, zone)
    return end is not None and end <= now


def logout_at(since: datetime, rule: str, zone: str) -> datetime | None:
    """When a login of `since` ends by itself, in UTC; None = never.

    Where clocks are put forward over the time of day, it counts as if they were not; where they are put back,
    its first passing counts.
    """
    if rule == "never":
        return None
    if rule.endswith("h"):
        return since + timedelta(hours=int(rule[:-1]))
    local = since.astimezone(ZoneInfo(zone))
    for days in (0, 1):
        day = local.date() + timedelta(days=days)
        end = datetime.combine(day, time.fromisoformat(rule), ZoneInfo(zone)).astimezone(UTC)
        if end > since:
            return end
    raise AssertionError("the same time tomorrow is later")
