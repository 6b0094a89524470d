"""One line when turning away begins and one when it ends."""

from pbx.call.limits import Cause
from pbx.call.refusals import QUIET_S, Refusals


def test_an_episode_lasts_until_it_has_been_quiet():
    refusals = Refusals()
    assert refusals.deadlines.next is None
    assert refusals.add(Cause.OVERLOAD, "", "busy", "INVITE", 100.0)
    for now in (101.0, 103.0, 107.9):
        assert not refusals.add(Cause.OVERLOAD, "", "still busy", "INVITE", now)
    assert not refusals.add(Cause.OVERLOAD, "", "still busy", "REGISTER", 108.0)
    assert refusals.expire(105.0) == []
    assert refusals.deadlines.next == 108.0 + QUIET_S
    (episode,) = refusals.expire(108.0 + QUIET_S)
    assert (episode.why, episode.since, episode.last) == ("busy", 100.0, 108.0)
    assert episode.counts == {"INVITE": 4, "REGISTER": 1}
    assert (refusals.deadlines.next, refusals.status(120.0)) == (None, [])
    assert refusals.total == {Cause.OVERLOAD: 5}


def test_causes_and_devices_are_told_apart():
    refusals = Refusals()
    assert refusals.add(Cause.CALLS, "", "many", "INVITE", 100.0)
    assert refusals.add(Cause.DEVICE, "100", "100 has many", "INVITE", 101.0)
    assert refusals.add(Cause.DEVICE, "101", "101 has many", "INVITE", 102.0)
    assert not refusals.add(Cause.DEVICE, "101", "101 has many", "INVITE", 103.0)
    assert refusals.status(104.0) == [
        {"cause": "calls", "why": "many", "since_s": 4.0, "refused": 1},
        {"cause": "device", "why": "100 has many", "since_s": 3.0, "refused": 1},
        {"cause": "device", "why": "101 has many", "since_s": 2.0, "refused": 2},
    ]
    assert [episode.why for episode in refusals.expire(200.0)] == ["many", "100 has many", "101 has many"]
