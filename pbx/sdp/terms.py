"""On what terms one media line is offered, answered and settled: formats, direction, profile, keys."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from pbx.entropy import Entropy
from pbx.errors import UsageError
from pbx.sdp import crypto, errors
from pbx.sdp.content import INACTIVE, REVERSED, Line, narrow
from pbx.sdp.crypto import CryptoAttribute
from pbx.sdp.dress import LocalLine, Transport
from pbx.sdp.formats import Format, choose, confirm, settle
from pbx.sdp.remote import Refusal, RemoteLine

SrtpPolicy = Literal["off", "optional", "required"]

PLAIN: Final = "RTP/AVP"
SECURE: Final = "RTP/SAVP"


class Terms(NamedTuple):
    """One leg's policy on SRTP, and where its keys come from."""

    entropy: Entropy
    policy: SrtpPolicy
    suites: tuple[str, ...]

    def judge(self, remote: RemoteLine) -> RemoteLine:
        """Refuse the offered line whose profile the policy does not allow, or that has no usable key."""
        if remote.line.rejected:
            return remote
        why = ""
        if remote.is_secure:
            if self.policy == "off":
                why = "SRTP is switched off here"
            elif not remote.crypto:
                why = "no usable crypto attribute" if remote.had_crypto else "SRTP without a crypto attribute"
        elif self.policy == "required" and not remote.crypto:
            why = "SRTP is required"
        if not why:
            return remote
        return remote._replace(line=remote.line.off(), refusal=Refusal(errors.INCOMPATIBLE_TRANSPORT, why))

    def answer(
        self, remote: RemoteLine, line: Line | None, transport: Transport | None, before: LocalLine | None
    ) -> LocalLine:
        """Our line in the answer to `remote`: what `line` wants of it, or port 0 (RFC 3264 §6)."""
        offered = remote.line
        numbers = _remember(before, offered.formats)
        formats: tuple[Format, ...] = ()
        if line is not None and transport is not None and not line.rejected and not offered.rejected:
            formats = choose(offered.formats, line.formats)
        if line is None or not formats:
            return LocalLine(*offered.key, remote.protocol, remote.formats, remote=remote, numbers=numbers)
        if line.feedback and line.feedback != offered.feedback:
            line = line._replace(feedback=tuple([v for v in line.feedback if v in offered.feedback]))
        chosen = None
        if remote.crypto and self.policy != "off":
            # Also on RTP/AVP with crypto attributes: a phone that offers so takes its answer so.
            current = before.srtp if before is not None and before.transport == transport else None
            chosen = crypto.choose(remote.crypto, self.entropy, current)
        return LocalLine(
            offered.kind,
            offered.ordinal,
            remote.protocol,
            remote.formats,
            transport,
            formats,
            narrow(line.direction, REVERSED[offered.direction]),
            remote.rtcp_mux,
            () if chosen is None else (chosen[0],),
            None if chosen is None else chosen[1],
            line,
            remote,
            numbers,
        )

    def offer(self, line: Line, transport: Transport, before: LocalLine | None, *, srtp: bool) -> LocalLine:
        """Our line in an offer. What the session has of it stays: profile, keys, numbers (RFC 3264 §8.3)."""
        kept = before if before is not None and before.transport is not None else None
        if kept is not None and bool(kept.srtp) != srtp:
            kept = None
        ours: tuple[CryptoAttribute, ...] = ()
        if srtp:
            same = kept is not None and kept.transport == transport
            ours = kept.crypto if kept is not None and same else crypto.make_offer(self.entropy, self.suites)
        formats = settle(line.formats, dict(before.numbers)) if before is not None else line.formats
        return LocalLine(
            line.kind,
            line.ordinal,
            kept.protocol if kept is not None else SECURE if srtp else PLAIN,
            (),
            transport,
            formats,
            line.direction,
            kept is not None and kept.rtcp_mux,
            ours,
            None,
            line,
            None,
            _remember(before, formats),
        )

    def decide_srtp(self, asked: bool | None, before: LocalLine | None, session: Sequence[LocalLine]) -> bool:
        """Whether a line is offered with SRTP: as asked, else as it was, else as the policy would have it."""
        if (asked is True and self.policy == "off") or (asked is False and self.policy == "required"):
            raise UsageError(f"srtp={asked} under the policy {self.policy}")
        if asked is not None or self.policy != "optional":
            return self.policy == "required" if asked is None else asked
        if before is not None and before.transport is not None:
            return before.srtp is not None
        return any(each.srtp for each in session)


def settle_line(ours: LocalLine, remote: RemoteLine) -> tuple[LocalLine, Refusal | None]:
    """A line of our offer with its answer; with port 0 and a reason where the answer cannot be used."""
    if ours.transport is None or remote.line.rejected:
        return switch_off(ours, remote), remote.refusal
    chosen = crypto.accept(ours.crypto, remote.crypto) if ours.crypto else None
    if chosen is None and (remote.is_secure or ours.crypto):
        why = f"answer {remote.protocol} to {ours.protocol} without a usable key"
        return switch_off(ours, remote), Refusal(errors.INCOMPATIBLE_TRANSPORT, why)
    formats = confirm(ours.formats, remote.line.formats)
    if not formats:
        why = "the answer names no offered format"
        return switch_off(ours, remote), Refusal(errors.INCOMPATIBLE_MEDIA_FORMAT, why)
    direction = narrow(remote.line.direction, REVERSED[ours.direction])
    if formats != remote.line.formats or direction != remote.line.direction:
        remote = remote._replace(line=remote.line._replace(formats=formats, direction=direction))
    return LocalLine(
        ours.kind,
        ours.ordinal,
        remote.protocol,
        ours.written,
        ours.transport,
        ours.formats,
        ours.direction,
        ours.rtcp_mux and remote.rtcp_mux,
        () if chosen is None else (chosen[0],),
        None if chosen is None else chosen[1],
        ours.line,
        remote,
        _remember(ours, formats),
    ), None


def switch_off(ours: LocalLine, remote: RemoteLine | None = None) -> LocalLine:
    """The same line with port 0."""
    if remote is not None and not remote.line.rejected:
        remote = remote._replace(line=remote.line.off(), rtp=None, rtcp=None)
    return ours._replace(
        transport=None, direction=INACTIVE, crypto=(), srtp=None, rtcp_mux=False, remote=remote
    )


def _remember(before: LocalLine | None, formats: tuple[Format, ...]) -> tuple[tuple[int, str], ...]:
    """The numbers given a meaning so far, with those of `formats`."""
    numbers = _numbers(formats)
    if before is None or not before.numbers or before.numbers == numbers:
        return numbers
    return tuple((dict(before.numbers) | dict(numbers)).items())


@lru_cache(256)
def _numbers(formats: tuple[Format, ...]) -> tuple[tuple[int, str], ...]:
    return tuple([(each.payload_type, each.codec) for each in formats])
