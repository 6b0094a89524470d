"""Every Play is answered once: by a worker, or in its place."""

import pytest

from pbx.media.orders import Play, Played
from pbx.media.plays import Plays

ONE, TWO = Play("e", "one", "/s/one"), Play("e", "two", "/s/two")


def played(order, why="ended"):
    return Played("e", order.play, why)


@pytest.fixture
def plays():
    """The second has ended the first, which no worker has said yet."""
    made = Plays()
    made.begin(ONE)
    made.begin(TWO)
    return made


ANSWERS = {
    "the one before is over: the other goes on": (played(ONE, "replaced"), False, True, TWO),
    "the one that goes on is over": (played(TWO), False, True, None),
    "closed only to be opened elsewhere, it is not over": (played(TWO, "closed"), True, False, TWO),
    "closed for good": (played(TWO, "closed"), False, True, None),
    "it ends before it is moved": (played(TWO), True, True, None),
    "the one before ends with the move": (played(ONE, "closed"), True, True, TWO),
    "of one that nobody knows": (Played("e", "three", "ended"), False, False, TWO),
}


@pytest.mark.parametrize(("event", "is_moving", "is_news", "current"), ANSWERS.values(), ids=ANSWERS)
def test_what_a_worker_says(plays, event, is_moving, is_news, current):
    assert plays.answer(event, is_moving=is_moving) == is_news
    assert plays.current == current


def test_an_answer_is_news_once(plays):
    assert [plays.answer(played(ONE), is_moving=False) for _ in range(2)] == [True, False]


LOST = {
    "all": (False, [played(ONE, "died"), played(TWO, "died")], None),
    "but for what goes on elsewhere": (True, [played(ONE, "died")], TWO),
}


@pytest.mark.parametrize(("keeps", "lost", "current"), LOST.values(), ids=LOST)
def test_what_no_worker_will_answer(plays, keeps, lost, current):
    assert plays.lose("died", keeps=keeps) == lost
    assert plays.current == current
    assert plays.lose("died") == ([] if current is None else [played(current, "died")])


def test_what_was_stopped_is_not_kept(plays):
    plays.stop()
    assert plays.current is None
    assert plays.lose("died", keeps=True) == [played(ONE, "died"), played(TWO, "died")]
