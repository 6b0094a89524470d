"""CPU of the exchange for one call and one registration, without sockets, database and media worker.

    python -m bench.parts.exchange [--calls 2000] [--extensions 100] [--in-progress 0] [--profile]

A call is INVITE, 401, ACK, INVITE, 100, 180, 200, ACK, BYE, 200 on the caller's side and the same without the
challenge on the callee's: 16 messages. Only the time inside the exchange counts, not that of the phones.
"""

import argparse
import cProfile
import gc
import pstats
from hashlib import md5
from time import thread_time_ns

from pbx.call.exchange import Exchange, Settings
from pbx.entropy import SystemEntropy
from pbx.media.orders import CloseEndpoint, EndpointClosed, EndpointStats
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.rtp.port_pool import PortPool
from pbx.sip.digest import make_ha1
from pbx.sip.flow import Flow
from pbx.sip.transaction.types import Send

DOMAIN = "pbx.local"
SERVER = ("127.0.0.1", 5060)
CALLER, CALLEE = ("127.0.0.1", 6001), ("127.0.0.1", 6002)
SDP = (
    "v=0\r\no=user 53655765 2353687637 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\n"
)


def make_office(extensions):
    """Extensions 1000, 1001 ..., each with one phone of its key; the password is `pw`."""
    return Office(
        extensions=tuple(
            Extension(key, f"Phone {key}", devices=(Device("ip_phone", key, *make_ha1(key, DOMAIN, "pw")),))
            for key in (str(1000 + each) for each in range(extensions))
        ),
        realm=DOMAIN,
    )


class Bench:
    """The exchange, its clock, and the two phones' part of each flow."""

    def __init__(self, extensions):
        entropy = SystemEntropy()
        self.exchange = Exchange(
            Settings(DOMAIN, max_calls=0, failed_auth=10**9),
            make_office(extensions),
            entropy,
            PortPool(1024, 65534, entropy, rest_s=0.0),
            lambda host: host == SERVER[0],
            lambda _: SERVER,
        )
        self.now = 0.0
        self.spent_ns = 0
        self.profile = None
        self._count = 0

    def step(self, text, peer):
        """One message in; what goes out."""
        data = text.encode()
        flow = Flow("UDP", peer, SERVER)
        self.now += 0.001
        return self._timed(lambda: self.exchange.receive(data, flow, self.now))

    def rest(self, seconds):
        """Let time pass."""
        self.now += seconds
        deadline = self.exchange.deadline
        while deadline is not None and deadline <= self.now:
            self._timed(lambda: self.exchange.expire(self.now))
            deadline = self.exchange.deadline

    def _timed(self, step):
        if self.profile is not None:
            self.profile.enable()
        start = thread_time_ns()
        effects = step()
        self.spent_ns += thread_time_ns() - start
        if self.profile is not None:
            self.profile.disable()
        for effect in effects:
            if type(effect) is CloseEndpoint:
                closed = EndpointClosed(effect.endpoint, EndpointStats())
                self._timed(lambda closed=closed: self.exchange.media_event(closed, self.now))
        return [effect.data.decode() for effect in effects if type(effect) is Send]

    def register(self, user, peer, challenge=""):
        """REGISTER with digest; the challenge when none was given."""
        self._count += 1
        lines = [
            f"REGISTER sip:{DOMAIN} SIP/2.0",
            f"Via: SIP/2.0/UDP {peer[0]}:{peer[1]};branch=z9hG4bKr{self._count};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{DOMAIN}>;tag=r{user}",
            f"To: <sip:{user}@{DOMAIN}>",
            f"Call-ID: register-{user}",
            f"CSeq: {self._count} REGISTER",
            f"Contact: <sip:{user}@{peer[0]}:{peer[1]}>",
            "Expires: 3600",
            "User-Agent: sipp",
        ]
        if challenge:
            lines.append(credentials(challenge, user, "REGISTER", f"sip:{DOMAIN}", self._count))
        (reply,) = self.step("\r\n".join([*lines, "Content-Length: 0", "", ""]), peer)
        return reply

    def call(self, caller, callee, hang_up=True):
        """One call from offer to BYE; returns what ends it."""
        self._count += 1
        number = self._count
        uri = f"sip:{callee}@{SERVER[0]}:{SERVER[1]}"

        def request(method, branch, seq, target, to, extra=(), body="", side=None):
            who, peer, call_id, from_ = side or (
                caller,
                CALLER,
                f"call-{number}",
                f"<sip:{caller}@{SERVER[0]}>;tag=a{number}",
            )
            return "\r\n".join(
                [
                    f"{method} {target} SIP/2.0",
                    f"Via: SIP/2.0/UDP {peer[0]}:{peer[1]};branch=z9hG4bK-{number}-{branch};rport",
                    "Max-Forwards: 70",
                    f"From: {from_}",
                    f"To: {to}",
                    f"Call-ID: {call_id}",
                    f"CSeq: {seq} {method}",
                    f"Contact: <sip:{who}@{peer[0]}:{peer[1]};transport=UDP>",
                    "User-Agent: sipp",
                    *extra,
                    *(("Content-Type: application/sdp",) if body else ()),
                    f"Content-Length: {len(body)}",
                    "",
                    body,
                ]
            )

        to = f"<sip:{callee}@{SERVER[0]}>"
        sdp = SDP.format(port=7000)
        challenged = self.step(request("INVITE", 1, 1, uri, to, body=sdp), CALLER)[-1]
        self.step(request("ACK", 1, 1, uri, value(challenged, "To")), CALLER)
        authorization = credentials(challenged, caller, "INVITE", uri, number)
        out = self.step(request("INVITE", 2, 2, uri, to, (authorization,), sdp), CALLER)
        invite = next(each for each in out if each.startswith("INVITE"))
        copied = [
            line for line in invite.split("\r\n") if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")
        ]

        def respond(status, lines, body="", to=None):
            return "\r\n".join(
                [
                    f"SIP/2.0 {status}",
                    *lines,
                    f"To: {to}",
                    f"Contact: <sip:{callee}@{CALLEE[0]}:{CALLEE[1]};transport=UDP>",
                    *(("Content-Type: application/sdp",) if body else ()),
                    f"Content-Length: {len(body)}",
                    "",
                    body,
                ]
            )

        answered_to = f"{value(invite, 'To')};tag=b{number}"
        self.step(respond("180 Ringing", copied, to=answered_to), CALLEE)
        out = self.step(respond("200 OK", copied, SDP.format(port=7100), answered_to), CALLEE)
        ok = next(each for each in out if each.startswith("SIP/2.0 200"))
        target = value(ok, "Contact").partition("<")[2].partition(">")[0]
        self.step(request("ACK", 3, 2, target, value(ok, "To")), CALLER)

        def end():
            out = self.step(request("BYE", 4, 3, target, value(ok, "To")), CALLER)
            bye = next(each for each in out if each.startswith("BYE"))
            lines = [
                line for line in bye.split("\r\n") if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")
            ]
            self.step(respond("200 OK", lines, to=value(bye, "To")), CALLEE)

        if hang_up:
            end()
        return end


def value(message, name):
    """The first value of a header."""
    return next(line for line in message.split("\r\n") if line.startswith(f"{name}: ")).partition(": ")[2]


def credentials(challenged, user, method, uri, count):
    """The Authorization line that answers the MD5 challenge in a response."""
    line = next(
        line for line in challenged.split("\r\n") if line.startswith("WWW-Auth") and "SHA-256" not in line
    )
    nonce = line.partition('nonce="')[2].partition('"')[0]
    ha1 = md5(f"{user}:{DOMAIN}:pw".encode()).hexdigest()
    ha2 = md5(f"{method}:{uri}".encode()).hexdigest()
    nc, cnonce = f"{count:08x}", "cafe"
    response = md5(f"{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}".encode()).hexdigest()
    return (
        f'Authorization: Digest username="{user}",realm="{DOMAIN}",nonce="{nonce}",uri="{uri}",'
        f'response="{response}",algorithm=MD5,qop=auth,nc={nc},cnonce="{cnonce}"'
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--extensions", type=int, default=100)
    parser.add_argument("--in-progress", type=int, default=0, help="calls that are up meanwhile")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    bench = Bench(options.extensions)
    users = [str(1000 + each) for each in range(options.extensions)]
    for user in users:
        challenge = bench.register(user, CALLEE)
        assert "200 OK" in bench.register(user, CALLEE, challenge)
    for each in range(options.in_progress):
        bench.call(users[each % len(users)], users[-1], hang_up=False)
    for each in range(200):
        bench.call(users[each % len(users)], users[(each + 1) % len(users)])
    gc.collect()
    gc.freeze()
    if options.profile:
        bench.profile = cProfile.Profile()
    bench.spent_ns = 0
    for each in range(options.calls):
        bench.call(users[each % len(users)], users[(each + 1) % len(users)])
        bench.rest(0.02)
    bench.rest(40.0)
    print(f"{bench.spent_ns / options.calls / 1000:.1f} us a call", flush=True)
    if bench.profile is not None:
        pstats.Stats(bench.profile).sort_stats("tottime").print_stats(45)
        return
    bench.spent_ns = 0
    for each in range(options.calls):
        user = users[each % len(users)]
        challenge = bench.register(user, CALLEE)
        bench.register(user, CALLEE, challenge)
        bench.rest(0.02)
    bench.rest(40.0)
    print(f"{bench.spent_ns / options.calls / 1000:.1f} us a digest registration", flush=True)


if __name__ == "__main__":
    main()
