"""The highest load that a server carries: raised until it fails, then narrowed (after RFC 7502)."""

from collections.abc import Callable

TRIES = 2  # a trial that fails on a shared machine is repeated once


def highest(start: float, most: float, carries: Callable[[float], bool], halvings: int = 4) -> float:
    """The highest load found for which `carries` is true, 0 when there is none.

    From `start` the load is doubled until a trial fails TRIES times (or halved until one does not), then the
    interval between the highest good and the lowest bad load is halved `halvings` times: the result is right
    to one part in 2**halvings.
    """

    def good(load: float) -> bool:
        return any(carries(load) for _ in range(TRIES))

    low, high = start, start
    if good(start):
        while high == low < most:
            high = min(2 * low, most)
            low = high if good(high) else low
        if low >= most:
            return low
    else:
        while high == low and high > start / 16:
            low = high / 2
            high = low if not good(low) else high
        if high == low:
            return 0.0
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low
