"""What authentication and registration cost: CPU microseconds each, best of several runs.

python -m bench.parts.digest
"""

import gc
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pbx.sip.digest import Accepted, Authenticator, answer, make_ha1, read_challenges
from pbx.sip.flow import Flow
from pbx.sip.location import LocationService
from pbx.sip.message import Request
from pbx.sip.parser import parse_datagram
from pbx.sip.registrar import Registrar

N = 5_000


def best(step: Callable[[], object], runs: int = 5) -> float:
    """CPU microseconds of one `step`, in the best of `runs` runs."""
    took = []
    gc.collect()
    gc.freeze()  # as the service does after its start
    for _ in range(runs):
        start = process_time()
        for _ in range(N):
            step()
        took.append((process_time() - start) / N * 1e6)
    return min(took)


def checks(algorithm: str, *, fresh: bool) -> float:
    """One check: of a nonce's first request (fresh), or of a later one."""
    authenticator = Authenticator("pbx.local", bytes(range(32)), algorithms=[algorithm], capacity=10 * N)
    ha1 = make_ha1("100", "pbx.local", "secret-of-100")
    known = {"100": ha1}
    same = read_challenges(authenticator.challenge(0.0, client="127.0.0.1"))[0]

    def credentials(nc: int) -> str:
        made = authenticator.challenge(0.0, client="127.0.0.1") if fresh else ()
        challenge = read_challenges(made)[0] if fresh else same
        assert challenge is not None
        count_of_nonce = 1 if fresh else nc
        return answer(
            challenge, "100", ha1, "REGISTER", "sip:pbx.local", nc=count_of_nonce, cnonce="5a1c9f0e77d2b3a4"
        )

    ready = iter([[credentials(nc)] for nc in range(1, 5 * N + 1)])

    def step() -> None:
        outcome = authenticator.check(
            "REGISTER", next(ready), known.get, 1.0, "sip:pbx.local", client="127.0.0.1"
        )
        assert type(outcome) is Accepted

    return best(step)


REGISTER = """\
REGISTER sip:pbx.local SIP/2.0
Via: SIP/2.0/UDP 192.0.2.{host}:5060;rport;branch=z9hG4bK{cseq}
Max-Forwards: 70
From: <sip:{user}@pbx.local>;tag=a73kszlfl
To: <sip:{user}@pbx.local>
Call-ID: 1j9FpLxk3uxtm8tn@{user}
CSeq: {cseq} REGISTER
Contact: <sip:{user}@192.0.2.{host}:5060;ob>;+sip.instance="<urn:uuid:0000-{user}>"
Supported: outbound, path
User-Agent: Yealink SIP-T46S 66.86.0.15
Expires: 3600
Content-Length: 0

"""


def registrations() -> tuple[float, float]:
    """One registration refreshed, and the parsing that comes before; of 100 devices in turn."""
    registrar = Registrar(LocationService())
    flows = [Flow("UDP", (f"192.0.2.{host}", 5060), ("192.0.2.250", 5060)) for host in range(100)]
    datagrams = [
        REGISTER.format(user=100 + number % 100, host=number % 100, cseq=1 + number // 100)
        .replace("\n", "\r\n")
        .encode()
        for number in range(5 * N)
    ]

    def read(number: int) -> Request:
        request = parse_datagram(datagrams[number])
        assert isinstance(request, Request)
        assert request.via.branch
        assert request.cseq.number  # the transaction layer has read these two by then
        return request

    def register(number: int) -> None:
        request = read(number)
        result = registrar.register(request, str(100 + number % 100), flows[number % 100], number / 1000)
        assert result.changed

    reading, ticks = count(), count()
    parse = best(lambda: read(next(reading)))
    return best(lambda: register(next(ticks))) - parse, parse


def main() -> None:
    authenticator = Authenticator("pbx.local", bytes(range(32)))
    ticks = count()
    nonce = best(lambda: authenticator.make_nonce(next(ticks), "127.0.0.1"))
    challenge = best(lambda: authenticator.challenge(next(ticks), client="127.0.0.1"))
    print(f"nonce                         {nonce:6.2f} µs")
    print(f"challenge, both algorithms    {challenge:6.2f} µs")
    for algorithm in ("MD5", "SHA-256"):
        print(f"check, {algorithm:8} new nonce     {checks(algorithm, fresh=True):6.2f} µs")
        print(f"check, {algorithm:8} known nonce   {checks(algorithm, fresh=False):6.2f} µs")
    register, parse = registrations()
    print(f"register() of a refresh       {register:6.2f} µs (after {parse:.2f} µs of parsing)")


if __name__ == "__main__":
    main()
