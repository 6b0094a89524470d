"""How a B-leg calls: enough to do it once more, and in which way, after a refusal of what was offered."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from pbx.call.own_media import modest
from pbx.immutable import immutable
from pbx.sdp.content import Content
from pbx.sip.flow import Flow
from pbx.sip.message import Request


@immutable
class Attempt:
    """One INVITE to a callee.

    Attributes:
        request: everything but Contact, session timer and SDP.
        flow, alternatives: each may be silent for `give_up_s`; the last one's silence is a 408.
        content: what is offered; None: nothing.
        has_toggled_srtp: it was called the other way before, with SRTP or in the clear.
    """

    request: Request
    flow: Flow
    behind_nat: bool
    content: Content | None
    srtp: bool = False
    alternatives: Sequence[Flow] = ()
    give_up_s: float = inf
    has_toggled_srtp: bool = False

    def after_refusal(self, status: int, *, may_toggle_srtp: bool) -> "Attempt | None":
        """What else can be offered to who has not rung yet; None: nothing.

        First the other profile, RTP or SRTP, where both may be; then no video, and more codecs, which the PBX
        would translate.
        """
        if status not in (488, 606):
            return None
        if status == 488 and may_toggle_srtp and not self.has_toggled_srtp:
            return replace(self, srtp=not self.srtp, has_toggled_srtp=True)
        content = modest(self.content) if self.content is not None else None
        if content == self.content:
            return None
        return replace(self, content=content, srtp=self.srtp != self.has_toggled_srtp)
