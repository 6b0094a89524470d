"""Offer and answer in the INVITE that opens a dialog: its 183, 2xx and PRACK (RFC 3261 §13, RFC 3262 §5)."""

from pbx.call.leg_media import LegMedia, has_sdp
from pbx.call.renegotiation import Renegotiation
from pbx.errors import MediaError, PeerError
from pbx.sdp.content import Content
from pbx.sdp.errors import SdpError
from pbx.sip.message import Request, Response
from pbx.sip.uac import MOST_FORKS


class InviteSdp:
    """Which body goes where. The INVITE itself is the leg's."""

    __slots__ = ("_answers", "_early_answer", "_heard", "_media", "_renegotiation", "is_offer_in_2xx")

    def __init__(self, media: LegMedia, renegotiation: Renegotiation) -> None:
        self.is_offer_in_2xx = False  # of ours: the ACK brings the answer
        self._media, self._renegotiation = media, renegotiation
        self._early_answer = b""
        self._answers: dict[str, Response] = {}  # the callee's early ones: each fork has its own, by To tag
        self._heard = ""  # the tag of the fork whose answer is in force

    def make_early(self, content: Content, *, is_reliable: bool) -> bytes:
        """The body of a provisional response to the caller, with its answer; empty: not now."""
        if not self._media.is_answer_due or self._renegotiation.is_update_pending:
            return b""
        try:
            body = self._media.make_answer(content)
        except (SdpError, MediaError):  # no early media then; the 2xx will show whether anything fits
            body = b""
        # RFC 3261 §13.2.1: after an unreliable response the 2xx says the same again.
        self._early_answer = b"" if is_reliable else body
        return body

    def make_final(self, content: Content | None, invite: Request) -> bytes:
        """The body of the 2xx to the caller: the answer to its offer, or an offer when it made none.

        Raises:
            SdpError, MediaError: nothing fits, or no port is free.
        """
        if self._media.is_answer_due and not self._renegotiation.is_update_pending:
            if content is None:
                raise SdpError("no answer has come")
            return self._media.make_answer(content)
        if self._media.is_stable and not invite.body and content is not None:
            body = self._media.make_offer(content, srtp=self._media.is_secure)
            self.is_offer_in_2xx = True
            return body
        body, self._early_answer = self._early_answer, b""
        return body

    def take_early(self, response: Response) -> Content | None:
        """The content of the callee's provisional response, if it changes what is heard.

        Of one fork only the first counts (RFC 3261 §13.2.1); of several, who has spoken up last.
        """
        tag, media = response.to.tag or "", self._media
        if not response.body or tag in self._answers or len(self._answers) >= MOST_FORKS:
            return None
        try:
            if media.is_offer_pending:
                content = media.receive_answer(response)
            elif media.may_revise and self._answers:
                content = media.revise_answer(response)
            else:
                return None
        except SdpError:  # early media only: the 2xx may say it better
            return None
        self._answers[tag], self._heard = response, tag
        return content

    def take_final(self, invite: Request, response: Response) -> Content | None:
        """The content of the callee's 2xx: an offer when our `invite` had none, else a new answer.

        Raises:
            SdpError: it does not fit, or is missing.
        """
        media = self._media
        if not invite.body and response.body:
            return media.receive_offer(response)
        if not response.body and media.is_idle and not invite.body:
            raise SdpError("the offer is missing in the answer to an INVITE without one")
        if media.is_offer_pending:
            return media.receive_answer(response)
        tag = response.to.tag or ""
        said = response if has_sdp(response) or tag == self._heard else self._answers.get(tag)
        if said is None or not has_sdp(said) or not media.may_revise:
            return None  # it came before, in a reliable response
        return media.revise_answer(said)

    def repeat_to_prack(self, prack: Request) -> bytes:
        """The answer to an offer in a PRACK; empty when it cannot be taken, ours being on its way, say.

        The same media again is all that is taken here.
        """
        if not self._media.is_stable:
            return b""
        try:
            content = self._media.receive_offer(prack)
            if self._media.is_refresh:
                return self._media.repeat_answer(content)
        except PeerError:
            pass  # it is refused, and what was agreed before stands
        self._media.rollback()
        return b""
