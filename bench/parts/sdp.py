"""What offer and answer of one call cost: microseconds, best of several runs.

python -m bench.parts.sdp
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pbx.entropy import SystemEntropy
from pbx.sdp.offer_answer import SdpSide, Transport
from pbx.sdp.session import SessionDescription

N = 2_000

# As a desk phone offers: five codecs and digits, 20 lines.
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 20311 20311 IN IP4 192.0.2.10",
        "s=SDP data",
        "c=IN IP4 192.0.2.10",
        "t=0 0",
        "m=audio 11780 RTP/AVP 9 0 8 18 101",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:18 G729/8000",
        "a=fmtp:18 annexb=no",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]
).encode()
ANSWER = "\r\n".join(
    [
        "v=0",
        "o=- 887 887 IN IP4 192.0.2.11",
        "s=-",
        "c=IN IP4 192.0.2.11",
        "t=0 0",
        "m=audio 12000 RTP/AVP 9 101",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]
).encode()
KEY = "inline:" + "QUJD" * 10
SECURE_OFFER = OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + (
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\na=crypto:2 AES_CM_128_HMAC_SHA1_32 {KEY}\r\n".encode()
)
OURS_A = (Transport("192.0.2.1", 16384, 16385),)
OURS_B = (Transport("192.0.2.1", 16386, 16387),)


def best(step: Callable[[], object], runs: int = 7) -> float:
    """Microseconds of one `step`, in the best of `runs` runs."""
    took = []
    for _ in range(runs):
        start = perf_counter()
        for _ in range(N):
            step()
        took.append((perf_counter() - start) / N * 1e6)
    return min(took)


def call(offer: bytes, entropy: SystemEntropy) -> None:
    a, b = SdpSide(entropy), SdpSide(entropy)
    b.make_offer(a.receive_offer(offer), OURS_B)
    a.make_answer(b.receive_answer(ANSWER), OURS_A)
    a.streams(), b.streams()


def figures() -> Iterator[tuple[str, float]]:
    entropy = SystemEntropy()
    parsed = SessionDescription.parse(OFFER)
    content = SdpSide(entropy).receive_offer(OFFER)
    secure, plain = SdpSide(entropy), SdpSide(entropy)
    yield "parse an offer", best(lambda: SessionDescription.parse(OFFER))
    yield "render it", best(parsed.render)
    yield "receive_offer", best(lambda: SdpSide(entropy).receive_offer(OFFER))
    yield "make_offer", best(lambda: SdpSide(entropy).make_offer(content, OURS_B))

    def offer_keys() -> None:
        secure.make_offer(content, OURS_B, srtp=True)
        secure.rollback()

    yield "make_offer with five keys", best(offer_keys)
    plain.make_offer(content, OURS_B)

    def receive_answer() -> None:
        plain.state = "offered"
        plain.receive_answer(ANSWER)

    yield "receive_answer", best(receive_answer)
    answer = plain.receive_answer(ANSWER) if plain.state == "offered" else plain.remote_content
    assert answer is not None
    offered = SdpSide(entropy)

    def make_answer() -> None:
        offered.receive_offer(OFFER)
        offered.make_answer(answer, OURS_A)

    yield "receive_offer and make_answer", best(make_answer)
    yield "all four and both streams", best(lambda: call(OFFER, entropy))
    yield "the same, A-leg with SRTP", best(lambda: call(SECURE_OFFER, entropy))


def main() -> None:
    for name, microseconds in figures():
        print(f"{name:30} {microseconds:6.1f} µs")


if __name__ == "__main__":
    main()
