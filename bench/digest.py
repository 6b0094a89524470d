"""What authentication and registration cost: microseconds each, best of several runs.

python bench/digest.py
"""

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pbx.sip.digest import Accepted, Authenticator, answer, choose_challenge, make_ha1

N = 5_000


def best(step: Callable[[], object], runs: int = 5) -> float:
    """Microseconds of one `step`, in the best of `runs` runs."""
    took = []
    for _ in range(runs):
        start = perf_counter()
        for _ in range(N):
            step()
        took.append((perf_counter() - start) / N * 1e6)
    return min(took)


def checks(algorithm: str, *, fresh: bool) -> float:
    """One check: of a nonce's first request (fresh), or of a later one."""
    authenticator = Authenticator("pbx.local", bytes(range(32)), algorithms=[algorithm], capacity=10 * N)
    ha1 = make_ha1("100", "pbx.local", "secret-of-100")
    known = {"100": ha1}
    same = choose_challenge(authenticator.challenge(0.0, client="127.0.0.1"))

    def credentials(nc: int) -> str:
        challenge = choose_challenge(authenticator.challenge(0.0, client="127.0.0.1")) if fresh else same
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


if __name__ == "__main__":
    main()
