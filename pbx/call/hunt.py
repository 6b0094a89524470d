"""Ringing several phones at once for one leg, until one answers (RFC 3261 §16.7)."""

from collections.abc import Iterable
from typing import Final, Protocol

from pbx.call.leg import Leg
from pbx.rules.decision import Ring
from pbx.sdp.content import Content
from pbx.sip.headers import Extra
from pbx.sip.message import Response
from pbx.sip.stack import UNREACHABLE

ELSEWHERE: Final = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
# §16.7: of the 4xx, those that say how the request could be mended come first.
MENDABLE: Final = (415, 420, 484)
# What a phone says to us, its user agent client, is our own affair and becomes something else for the caller.
PRIVATE: Final = {
    401: 480,
    407: 480,
    408: 480,
    420: 500,
    421: 500,
    422: 500,
    481: 480,
    487: 480,
    491: 480,
    494: 500,
    503: 500,
}


class HuntUser(Protocol):
    """Who wants to know, for the call behind it."""

    def hears(self, hunt: "Hunt") -> bool:
        """Whether early media is passed on."""
        ...

    def progressed(self, hunt: "Hunt", leg: Leg, response: Response, content: Content | None) -> None: ...
    def fell_silent(self, hunt: "Hunt") -> None:
        """Whose early media was passed on is gone."""
        ...

    def answered(self, hunt: "Hunt", leg: Leg, content: Content | None) -> None: ...
    def failed(self, hunt: "Hunt", status: int, response: Response | None) -> None: ...
    def redirected(self, hunt: "Hunt", leg: Leg, response: Response) -> bool:
        """A 3xx: has the call found somebody else to ring?"""
        ...

    def passed(self, hunt: "Hunt", leg: Leg, response: Response) -> bool:
        """A number outside was not reached by one trunk: is another one trying now?"""
        ...


class Hunt:
    """The B-legs that ring for `origin`."""

    def __init__(self, user: HuntUser, origin: Leg, decision: Ring, began_at: float) -> None:
        self.user: HuntUser | None = user
        self.origin = origin
        self.why = decision.why
        self.after = decision.after  # who rings when these do not answer
        self.began_at = began_at  # the no-answer time counts from here
        self.legs: list[Leg] = []
        self.early: Leg | None = None  # the one whose early media the caller hears
        self.early_content: Content | None = None
        self.key = ""  # of the extension that was called first
        self.tried: set[str] = set()  # extension keys, so that redirections end
        self.sent_on: set[Leg] = set()  # those that ring because of a 302
        self.is_adopted = False  # its phones were offered the media of another origin
        self.is_shared = False  # several extensions or numbers ring: nobody refuses for the others
        self.content: Content | None = None  # what is offered, and the headers that go with it
        self.extra: Extra = ()
        self.is_outside = False  # a number outside is among those who ring
        self.unreached = 0  # the status for a number outside that no trunk can take
        self.is_recall = False  # the origin waits, whether anybody answers or not
        self.why_not = ""  # in words, once it has failed
        self._refusals: list[Response] = []

    def begin(self, key: str, content: Content | None, extra: Extra, *, is_shared: bool) -> None:
        """Somebody is about to be rung: for the extension `key`, with this offer."""
        self.key = self.key or key
        self.tried.add(key)
        self.content, self.extra = content, extra
        self.is_shared = self.is_shared or is_shared or bool(self.legs)

    def add(self, leg: Leg) -> None:
        """One more phone rings."""
        self.legs.append(leg)

    def progressed(self, leg: Leg, response: Response, content: Content | None) -> None:
        """A phone rings, or plays something before it answers: one source of early media is passed on."""
        if leg not in self.legs or self.user is None:
            return
        if content is not None:
            if self.early is None and self.user.hears(self):
                self.early, self.early_content = leg, content
            elif self.early is not leg:
                content = None
        self.user.progressed(self, leg, response, content)

    def answered(self, leg: Leg, content: Content | None) -> None:
        """The first to answer wins; the others hear that the call was completed elsewhere."""
        user = self.user
        if leg not in self.legs or user is None:
            leg.end()
            return
        self.legs.remove(leg)
        self.user = None
        self._cancel(ELSEWHERE)
        user.answered(self, leg, content)

    def refused(self, leg: Leg, response: Response) -> None:
        """One phone said no; a 6xx speaks for all (§16.7, step 5)."""
        user = self.user
        if leg not in self.legs or user is None:
            return
        self.legs.remove(leg)
        if self.early is leg:
            self._fall_silent(user)
        if 300 <= response.status < 400 and user.redirected(self, leg, response):
            return
        if leg.outside is not None and user.passed(self, leg, response):
            return
        self._refusals.append(response)
        if response.status >= 600 and not self.is_shared:
            self._cancel(())
        if not self.legs:
            self.fail()

    def lost(self, leg: Leg) -> None:
        """A ringing leg is gone without a word."""
        if leg in self.legs:
            self.legs.remove(leg)
            if self.early is leg and self.user is not None:
                self._fall_silent(self.user)
            if not self.legs:
                self.fail()

    def fail(self, status: int | None = None, why: str = "") -> None:
        """Stop all and report the best refusal, or `status` and why."""
        user, self.user = self.user, None
        self._cancel(())
        if user is None:
            return
        if self.early is not None:
            self._fall_silent(user)
        best = best_response(self._refusals) if status is None else None
        self.why_not = why or self._in_words(best)
        if best is None:
            user.failed(self, status or self.unreached or 480, None)
            return
        mapped = 480 if best.reason == UNREACHABLE else PRIVATE.get(best.status, best.status)
        if 300 <= mapped < 400:
            mapped = 480
        user.failed(self, mapped, best if mapped == best.status else None)

    def _fall_silent(self, user: HuntUser) -> None:
        self.early = None
        user.fell_silent(self)

    def _in_words(self, best: Response | None) -> str:
        if best is not None and best.reason != UNREACHABLE:
            return f"nobody takes the call: {best.status} {best.reason}".rstrip()
        return "no trunk or gateway takes the call" if self.unreached else "nobody can be reached"

    def stop(self, extra: Iterable[tuple[str, str]] = ()) -> None:
        """Stop ringing and report nothing."""
        self.user = None
        self._cancel(tuple(extra))

    def _cancel(self, extra: tuple[tuple[str, str], ...]) -> None:
        legs, self.legs = self.legs, []
        for leg in legs:
            leg.cancel(extra)


def best_response(refusals: list[Response]) -> Response | None:
    """What a fork's caller is told (§16.7, step 6): a 6xx, else the lowest class, mendable ones first."""
    if not refusals:
        return None
    return min(refusals, key=_rank)


def _rank(response: Response) -> tuple[bool, int, int]:
    status = response.status
    return status < 600, status // 100, _weight(status)


def _weight(status: int) -> int:
    """Among 4xx: mendable ones, then a person's own word (486), then the rest, time-outs last."""
    if status in MENDABLE:
        return 0
    if status == 486:
        return 1
    return 3 if status in (408, 480, 487, 503) else 2
