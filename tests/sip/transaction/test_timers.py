"""The table of RFC 3261's appendix A, and RFC 6026's two."""

import pytest

from pbx.sip.transaction.timers import Timers

DEFAULTS = {
    "a": 0.5,
    "b": 32.0,
    "c": 180.0,
    "d": 32.0,
    "e": 0.5,
    "f": 32.0,
    "g": 0.5,
    "h": 32.0,
    "i": 5.0,
    "j": 32.0,
    "k": 5.0,
    "l": 32.0,
    "m": 32.0,
}


@pytest.mark.parametrize(("letter", "seconds"), DEFAULTS.items(), ids=DEFAULTS)
def test_the_defaults_are_the_rfcs(letter, seconds):
    assert getattr(Timers(), letter) == seconds


def test_all_follow_t1_and_t4():
    quick = Timers(t1=0.01, t2=0.04, t4=0.05)
    assert [quick.a, quick.e, quick.g] == [0.01] * 3
    assert [quick.b, quick.d, quick.f, quick.h, quick.j, quick.l, quick.m] == [0.64] * 7
    assert [quick.i, quick.k] == [0.05] * 2
