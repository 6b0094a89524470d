"""The search for the highest load, on servers of which the answer is known."""

import pytest

from bench.support.search import highest

CASES = {
    "narrowed to a sixteenth below the truth": (50, 4000, 330, 325),
    "the start is too high already": (50, 4000, 20, 19.53125),
    "never fails: as far as asked": (50, 400, 1e9, 400),
    "carries nothing": (50, 4000, 0, 0),
    "the start is just what it carries": (50, 4000, 50, 50),
}


@pytest.mark.parametrize(("start", "most", "truth", "found"), CASES.values(), ids=CASES)
def test_highest(start: float, most: float, truth: float, found: float):
    assert highest(start, most, lambda load: load <= truth) == found


def test_one_failure_alone_does_not_end_the_search():
    tried: list[float] = []

    def carries(load: float) -> bool:
        tried.append(load)
        return load < 200 and tried.count(load) > 1

    assert highest(50, 4000, carries, halvings=1) == 150
    assert tried == [50, 50, 100, 100, 200, 200, 150, 150]
