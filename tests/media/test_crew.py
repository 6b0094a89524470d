import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.media.crew import BACKOFF_S, DEATHS, HUNG_S, PING_S, Crew
from pbx.media.crew_effects import Kill, Report, Spawn, Tell
from pbx.media.orders import (
    CloseEndpoint,
    Detect,
    EndpointClosed,
    EndpointFailed,
    EndpointStats,
    Join,
    Mix,
    OpenEndpoint,
    Part,
    Play,
    Played,
    ReadStats,
    Record,
    Recorded,
    Resumed,
    SendDigit,
    SetRemote,
    Silent,
    SrtpKeys,
    StatsRead,
    StopPlay,
    StopRecord,
    WorkerRestarted,
)
from pbx.media.wire import Counted, Latched, Ping, Pong, Restore

NAT = ("203.0.113.7", 61_000)


def opened(name, call="call"):
    return OpenEndpoint(name, call, "192.0.2.9", 10_000 + 2 * ord(name))


def remote(name, port=4000, **more):
    return SetRemote(name, ("192.0.2.1", port), **more)


def crew(*orders, workers=2):
    made = Crew(workers)
    made.start(0.0)
    for order in orders:
        made.perform(order)
    return made


def told(effects):
    return [(effect.worker, effect.message) for effect in effects if isinstance(effect, Tell)]


def reported(effects):
    return [effect.event for effect in effects if isinstance(effect, Report)]


def test_all_workers_are_started():
    assert Crew(3).start(0.0) == [Spawn(0), Spawn(1), Spawn(2)]


def test_a_call_stays_with_one_worker_and_calls_are_spread():
    made = crew()
    workers = [
        told(made.perform(opened(name, call)))[0][0] for name, call in zip("abcdef", "112233", strict=True)
    ]
    assert workers == [0, 0, 1, 1, 0, 0]


ORDERS = [remote("a"), Join("a", "b"), Part("a"), ReadStats("a"), CloseEndpoint("a")]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_orders_go_to_the_worker_of_the_call(order):
    made = crew(opened("x", "other"), opened("a"), opened("b"), Join("a", "b"))
    assert made.perform(order) == [Tell(1, order)]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_orders_for_what_is_gone_do_nothing(order):
    assert crew().perform(order) == []


EVENTS = [StatsRead("a", EndpointStats()), Silent("a", 30.0), Resumed("a")]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_handed_on_while_the_endpoint_lives(event):
    made = crew(opened("a"))
    assert made.receive(0, event, 1.0) == [Report(event)]
    made.perform(CloseEndpoint("a"))
    made.receive(0, EndpointClosed("a", EndpointStats()), 1.0)
    assert made.receive(0, event, 1.0) == []


def test_a_closed_endpoint_is_forgotten_and_told_to_close_once():
    made = crew(opened("a"))
    assert made.perform(CloseEndpoint("a")) == [Tell(0, CloseEndpoint("a"))]
    assert made.perform(CloseEndpoint("a")) == []
    closed = EndpointClosed("a", EndpointStats(packets_in=5))
    assert made.receive(0, closed, 1.0) == [Report(closed)]
    assert len(made) == 0


def test_a_failed_endpoint_is_forgotten():
    made = crew(opened("a"))
    failed = EndpointFailed("a", "Address already in use")
    assert made.receive(0, failed, 1.0) == [Report(failed)]
    assert len(made) == 0


def test_a_new_worker_is_told_all_the_dead_one_knew():
    made = crew(opened("a"), opened("b"), remote("a"), remote("b"), Join("a", "b"), workers=1)
    made.receive(0, Latched("a", NAT), 1.0)
    assert made.died(0, "killed", 20.0) == [
        Spawn(0),
        Tell(0, opened("a")),
        Tell(0, Restore("a", NAT)),
        Tell(0, remote("a")),
        Tell(0, opened("b")),
        Tell(0, remote("b")),
        Tell(0, Join("a", "b")),
        Report(WorkerRestarted(("call",), "killed")),
    ]


def test_only_the_last_word_counts_when_told_again():
    made = crew(opened("a"), opened("b"), remote("a"), Join("a", "b"), remote("a", may_send=False), Part("b"))
    assert told(made.died(0, "killed", 20.0)) == [
        (0, opened("a")),
        (0, remote("a", may_send=False)),
        (0, opened("b")),
    ]


def test_a_source_learnt_before_the_peer_moved_is_not_restored():
    made = crew(opened("a"), remote("a"))
    made.receive(0, Latched("a", NAT), 1.0)
    made.perform(remote("a", port=5000))
    assert told(made.died(0, "killed", 20.0)) == [(0, opened("a")), (0, remote("a", port=5000))]


KEYS, NEW_KEYS = (SrtpKeys("AEAD_AES_128_GCM", bytes(28), bytes([key] * 28)) for key in (1, 2))


def test_srtp_counters_are_kept_as_long_as_their_keys():
    made = crew(opened("a"), remote("a", srtp=KEYS))
    made.receive(0, Counted("a", KEYS, "in", 7, 16_384), 1.0)
    assert made.receive(0, Counted("a", KEYS, "in", 7, 32_768), 2.0) == []
    restore = Restore("a", None, (("in", 7, 32_768),))
    assert told(made.died(0, "killed", 20.0))[1:] == [(0, restore), (0, remote("a", srtp=KEYS))]
    made.perform(remote("a", srtp=NEW_KEYS))
    made.receive(0, Counted("a", KEYS, "in", 7, 49_152), 30.0)  # was on its way
    assert told(made.died(0, "killed", 99.0))[1:] == [(0, remote("a", srtp=NEW_KEYS))]


def test_counters_of_the_way_whose_key_stays_are_kept():
    made = crew(opened("a"), remote("a", srtp=KEYS))
    for kind in ("in", "out", "rtcp"):
        made.receive(0, Counted("a", KEYS, kind, 7, 64), 1.0)
    made.perform(remote("a", srtp=NEW_KEYS))  # those of the peer are new
    made.receive(0, Counted("a", KEYS, "out", 7, 16_384), 2.0)  # was on its way
    restore = Restore("a", None, (("out", 7, 16_384), ("rtcp", 7, 64)))
    assert told(made.died(0, "killed", 20.0))[1:] == [(0, restore), (0, remote("a", srtp=NEW_KEYS))]


def test_what_was_being_closed_is_closed_with_its_worker():
    made = crew(opened("a"), opened("b"))
    made.perform(CloseEndpoint("a"))
    effects = made.died(0, "killed", 20.0)
    assert reported(effects) == [EndpointClosed("a", EndpointStats()), WorkerRestarted(("call",), "killed")]
    assert told(effects) == [(0, opened("b"))]


def test_other_workers_are_left_alone():
    made = crew(opened("a", "1"), opened("b", "2"))
    effects = made.died(1, "killed", 20.0)
    assert told(effects) == [(1, opened("b", "2"))]
    assert reported(effects) == [WorkerRestarted(("2",), "killed")]


def die_often(made, number, start):
    for at in range(DEATHS):
        effects = made.died(number, "killed", start + at)
    return effects


def test_a_worker_that_keeps_dying_gives_its_calls_up():
    made = crew(opened("a"), opened("b"), Join("a", "b"), workers=1)
    effects = die_often(made, 0, 20.0)
    why = "the media worker keeps failing: killed"
    assert effects == [Report(EndpointFailed("a", why)), Report(EndpointFailed("b", why))]
    assert len(made) == 0


def test_until_it_is_tried_again_new_calls_are_refused_or_go_elsewhere():
    alone, two = crew(workers=1), crew(workers=2)
    for made in (alone, two):
        die_often(made, 0, 20.0)
    assert reported(alone.perform(opened("a"))) == [
        EndpointFailed("a", "no media worker can be kept running")
    ]
    assert told(two.perform(opened("a"))) == [(1, opened("a"))]
    again = 20.0 + DEATHS - 1 + BACKOFF_S
    assert Spawn(0) not in alone.expire(again - 0.1)
    assert Spawn(0) in alone.expire(again)
    assert told(alone.perform(opened("b"))) == [(0, opened("b"))]


def test_deaths_far_apart_are_not_counted_together():
    made = crew(opened("a"))
    for at in range(3 * DEATHS):
        assert Spawn(0) in made.died(0, "killed", 60.0 * at)


def test_workers_are_asked_how_they_are_and_killed_when_they_say_nothing():
    made = crew()
    assert made.deadline == 0.0  # at once: the answer says that a worker is there
    assert made.expire(0.0) == [Tell(0, Ping()), Tell(1, Ping())]
    assert made.deadline == PING_S
    assert made.expire(PING_S - 0.1) == []
    assert made.expire(PING_S) == [Tell(0, Ping()), Tell(1, Ping())]
    now = PING_S
    while now <= HUNG_S:
        made.receive(1, Pong(), now)
        now = made.deadline
        effects = made.expire(now)
    assert effects == [Kill(0), Tell(1, Ping())]


def test_a_core_that_was_stopped_itself_blames_no_worker():
    """What they have said meanwhile is read after its timers."""
    made = crew()
    made.expire(0.0)
    for at in (HUNG_S + PING_S, HUNG_S + 2 * PING_S):
        assert made.expire(at) == [Tell(0, Ping()), Tell(1, Ping())]


class TestCallsOfTwoWorkersAreJoined:
    """As an attended transfer does: a and b were one call, c and d another."""

    @pytest.fixture
    def made(self):
        made = crew(opened("a", "1"), opened("b", "1"), opened("c", "2"), opened("d", "2"))
        for name in "abcd":
            made.perform(remote(name))
        made.perform(Join("a", "b"))
        made.perform(Join("c", "d"))
        return made

    def test_one_endpoint_moves(self, made):
        made.receive(1, Latched("c", NAT), 1.0)
        assert made.perform(Join("a", "c")) == [Tell(1, CloseEndpoint("c"))]
        assert made.receive(1, EndpointClosed("c", EndpointStats(packets_in=7)), 2.1) == [
            Tell(0, opened("c", "2")),
            Tell(0, Restore("c", NAT)),
            Tell(0, remote("c")),
            Tell(0, Join("c", "a")),
        ]

    def test_its_counters_go_with_it(self, made):
        made.perform(Join("a", "c"))
        made.receive(1, EndpointClosed("c", EndpointStats(packets_in=7, jitter_s=0.1)), 2.1)
        assert made.receive(0, StatsRead("c", EndpointStats(packets_in=1)), 3.0) == [
            Report(StatsRead("c", EndpointStats(packets_in=8)))
        ]
        made.perform(CloseEndpoint("c"))
        assert made.receive(0, EndpointClosed("c", EndpointStats(packets_in=2)), 4.0) == [
            Report(EndpointClosed("c", EndpointStats(packets_in=9)))
        ]

    def test_counters_are_told_on_the_way_too(self, made):
        made.perform(Join("a", "c"))
        assert made.perform(ReadStats("c")) == [Report(StatsRead("c", EndpointStats()))]

    def test_srtp_stays_where_it_is(self, made):
        made.perform(remote("c", srtp=SrtpKeys("AEAD_AES_128_GCM", bytes(28), bytes(28))))
        assert made.perform(Join("a", "c")) == [Tell(0, CloseEndpoint("a"))]

    def test_orders_on_the_way_are_carried_out_on_arrival(self, made):
        made.perform(Join("a", "c"))
        assert made.perform(remote("c", may_send=False)) == []
        effects = made.receive(1, EndpointClosed("c", EndpointStats()), 2.1)
        assert (0, remote("c", may_send=False)) in told(effects)

    def test_closed_on_the_way(self, made):
        made.perform(Join("a", "c"))
        assert made.perform(CloseEndpoint("c")) == []
        closed = EndpointClosed("c", EndpointStats())
        assert made.receive(1, closed, 2.1) == [Report(closed)]
        assert len(made) == 3

    def test_the_old_worker_dies_on_the_way(self, made):
        made.perform(Join("a", "c"))
        effects = made.died(1, "killed", 20.0)
        assert (0, opened("c", "2")) in told(effects)
        assert (1, opened("d", "2")) in told(effects)

    def test_the_new_worker_dies_on_the_way(self, made):
        made.perform(Join("a", "c"))
        assert (0, Join("a", "c")) not in told(made.died(0, "killed", 20.0))
        effects = made.receive(1, EndpointClosed("c", EndpointStats()), 20.1)
        assert told(effects)[-1] == (0, Join("c", "a"))


def test_two_that_pass_each_other_on_their_way_meet():
    made, workers = crew(workers=2), FakeWorkers()
    script = [opened(name, call) for name, call in zip("abcd", "1122", strict=True)]
    script += [Join("a", "c"), Join("d", "b"), Join("b", "c")]  # c leaves for b's worker, b for c's
    for order in script:
        workers.obey(made.perform(order))
    while workers.answers:
        workers.obey(made.receive(*workers.answers.pop(0), 2.0))
    assert {**workers.joins[0], **workers.joins[1]} == {"b": "c", "c": "b"}


names = st.sampled_from("abcdef")
steps = st.one_of(
    st.builds(opened, names, st.sampled_from("12")),
    st.builds(remote, names, st.integers(4000, 4002)),
    st.builds(Join, names, names).filter(lambda join: join.a != join.b),
    st.builds(Part, names),
    st.builds(CloseEndpoint, names),
    st.builds(Latched, names, st.just(NAT)),
    st.integers(0, 1),
)


class FakeWorkers:
    """Two workers as simple as can be: what is open, what is joined; they answer when asked to."""

    def __init__(self):
        self.open, self.joins, self.answers = [set(), set()], [{}, {}], []
        self.rooms, self.playing, self.recording = {}, {}, {}

    def tell(self, number, message):
        name = getattr(message, "endpoint", None)
        joins = self.joins[number]
        if isinstance(message, OpenEndpoint):
            assert name not in self.open[0] | self.open[1], "a port is bound twice"
            self.open[number].add(name)
        elif isinstance(message, CloseEndpoint):
            assert name in self.open[number]
            self.open[number].remove(name)
            joins.pop(joins.pop(name, None), None)
            self.rooms.pop(name, None)
            for recording in self.recording.pop(name, ()):
                self.answers.append((number, Recorded(name, recording, 1.0, "closed")))
            self._played(number, name, "closed")
            self.answers.append((number, EndpointClosed(name, EndpointStats())))
        elif isinstance(message, Join):
            assert {message.a, message.b} <= self.open[number]
            for one in (message.a, message.b):
                joins.pop(joins.pop(one, None), None)
            joins[message.a], joins[message.b] = message.b, message.a
        elif isinstance(message, Part):
            joins.pop(joins.pop(message.a, None), None)
        elif isinstance(message, SetRemote | Restore):
            assert name in self.open[number]
        elif isinstance(message, Mix):
            assert name in self.open[number]
            self.rooms[name] = message.room
        elif isinstance(message, Play | StopPlay):
            assert name in self.open[number]
            self._played(number, name, "replaced")
            if isinstance(message, Play):
                self.playing[name] = message.play
        elif isinstance(message, Record):
            assert name in self.open[number]
            self.recording.setdefault(name, []).append(message.recording)

    def _played(self, number, name, why):
        if (play := self.playing.pop(name, None)) is not None:
            self.answers.append((number, Played(name, play, why)))

    def room(self, name, room):
        """Which worker has it in that room."""
        found = [number for number in (0, 1) if name in self.open[number] and self.rooms.get(name) == room]
        return found[0] if found else None

    def obey(self, effects):
        for number, message in told(effects):
            self.tell(number, message)

    def die(self, number):
        for name in self.open[number]:
            for known in (self.rooms, self.playing, self.recording):
                known.pop(name, None)
        self.open[number], self.joins[number] = set(), {}
        self.answers = [answer for answer in self.answers if answer[0] != number]


@settings(max_examples=150)
@given(st.lists(st.tuples(steps, st.booleans()), max_size=40))
def test_whatever_happens_the_workers_do_what_was_ordered(script):
    made, workers, now = crew(), FakeWorkers(), 0.0
    is_open, is_joined, used = set(), {}, set()

    def answer():
        while workers.answers:
            workers.obey(made.receive(*workers.answers.pop(0), now))

    def part(name):
        is_joined.pop(is_joined.pop(name, None), None)

    for step, answers in script:
        now += 100.0
        if isinstance(step, int):
            workers.die(step)
            workers.obey(made.died(step, "killed", now))
        elif isinstance(step, Latched):
            workers.obey(made.receive(0, step, now))
        elif isinstance(step, OpenEndpoint):
            if step.endpoint in used:
                continue  # names are never used twice
            used.add(step.endpoint)
            is_open.add(step.endpoint)
            workers.obey(made.perform(step))
        else:
            if isinstance(step, Join) and {step.a, step.b} <= is_open and is_joined.get(step.a) != step.b:
                part(step.a)
                part(step.b)
                is_joined[step.a], is_joined[step.b] = step.b, step.a
            elif isinstance(step, Part):
                part(step.a)
            elif isinstance(step, CloseEndpoint):
                part(step.endpoint)
                is_open.discard(step.endpoint)
            workers.obey(made.perform(step))
        if answers:
            answer()
    answer()
    assert workers.open[0] | workers.open[1] == is_open
    assert workers.joins[0] | workers.joins[1] == is_joined
    assert len(made) == len(is_open)


ADDRESS = "192.0.2.9"


def port_of(name):
    return opened(name).rtp_port


def at(name, where, **more):
    return SetRemote(name, (ADDRESS, port_of(where)), **more)


CIRCLES = {
    "a phone names the port that its partner sends to": [Join("a", "b"), at("a", "b")],
    "the join comes last": [at("a", "b"), at("b", "a"), Join("a", "b")],
    "over two calls": [Join("a", "b"), Join("c", "d"), at("b", "c"), at("d", "a")],
    "RTCP only": [Join("a", "b"), remote("a", rtcp=(ADDRESS, port_of("b") + 1))],
}


@pytest.mark.parametrize("orders", CIRCLES.values(), ids=CIRCLES.keys())
def test_media_that_would_go_round_for_ever_is_cut(orders):
    made = crew(*(opened(name) for name in "abcd"), *orders[:-1])
    effects = made.perform(orders[-1])
    (failed,) = reported(effects)
    assert isinstance(failed, EndpointFailed)
    assert failed.endpoint == getattr(orders[-1], "endpoint", "a")
    assert told(effects) == [(0, CloseEndpoint(failed.endpoint))]
    assert len(made) == 3


def test_media_that_only_passes_twice_goes_on():
    made = crew(*(opened(name) for name in "abcd"), Join("a", "b"), Join("c", "d"))
    for order in (remote("a"), at("b", "c"), at("c", "b"), remote("d")):
        assert made.perform(order) == [Tell(0, order)]


def test_a_port_that_was_closed_is_no_longer_ours():
    made = crew(opened("a"), opened("b"), opened("c"), Join("a", "b"), at("a", "c"), Join("b", "c"))
    made.perform(CloseEndpoint("c"))
    made.receive(0, EndpointClosed("c", EndpointStats()), 0.0)
    assert reported(made.perform(Join("a", "b"))) == []


SOUND = [
    Mix("a", "room"),
    Play("a", "p", "/stem"),
    StopPlay("a"),
    Record("a", "r", "/file"),
    StopRecord("a", "r"),
    Detect("a"),
    SendDigit("a", "1"),
]
ANSWERS = {
    "Play": [Played("a", "p", "closed")],
    "Record": [Recorded("a", "r", 0.0, "closed")],
}


@pytest.mark.parametrize("order", SOUND, ids=lambda order: type(order).__name__)
def test_sound_for_an_endpoint_that_is_gone_is_answered_at_most(order):
    expected = ANSWERS.get(type(order).__name__, [])
    never, closing, closed = crew(), crew(opened("a")), crew(opened("a"))
    closing.perform(CloseEndpoint("a"))
    closed.perform(CloseEndpoint("a"))
    closed.receive(0, EndpointClosed("a", EndpointStats()), 1.0)
    for made in (never, closing, closed):
        effects = made.perform(order)
        assert (told(effects), reported(effects)) == ([], expected)


def test_a_new_worker_goes_on_with_rooms_detectors_and_loops():
    loop, mix, detect = Play("a", "music", "/stem", loop=True), Mix("a", "room", muted=True), Detect("a")
    made = crew(opened("a"), remote("a"), Mix("a", "room"), mix, detect, loop, workers=1)
    made.perform(SendDigit("a", "1"))
    assert told(made.died(0, "killed", 20.0)) == [
        (0, opened("a")),
        (0, remote("a")),
        (0, mix),
        (0, detect),
        (0, loop),
    ]
    assert reported(made.receive(0, Played("a", "music", "no such file"), 21.0)) == [
        Played("a", "music", "no such file")
    ]


def test_what_was_switched_off_stays_off():
    made = crew(opened("a"), Mix("a", "room"), Detect("a"), Play("a", "music", "/stem", loop=True), workers=1)
    for order in (Mix("a", ""), Detect("a", on=False), StopPlay("a")):
        made.perform(order)
    effects = made.died(0, "killed", 20.0)
    assert told(effects) == [(0, opened("a"))]
    assert reported(effects)[0] == Played("a", "music", "the media worker died")
    assert not made._roster.by_room


def test_plays_and_recordings_that_died_with_their_worker_are_answered_once():
    first, second = Play("a", "one", "/stem"), Play("a", "two", "/stem")
    made = crew(opened("a"), first, second, Record("a", "r", "/file"), workers=1)
    effects = made.died(0, "killed", 20.0)
    assert reported(effects) == [
        Recorded("a", "r", -1.0, "the media worker died"),
        Played("a", "one", "the media worker died"),
        Played("a", "two", "the media worker died"),
        WorkerRestarted(("call",), "killed"),
    ]
    for late in (Played("a", "two", "ended"), Recorded("a", "r", 1.0, "stopped")):
        assert made.receive(0, late, 21.0) == []


def test_a_loop_that_was_stopped_is_answered_once_though_its_worker_died_first():
    made = crew(opened("a"), Play("a", "music", "/stem", loop=True), workers=1)
    assert told(made.perform(StopPlay("a"))) == [(0, StopPlay("a"))]
    assert made.perform(StopPlay("a")) == []
    assert reported(made.died(0, "killed", 20.0))[0] == Played("a", "music", "the media worker died")


def test_a_name_may_be_played_again():
    made = crew(opened("a"), *[Play("a", "music", "/stem", loop=True)] * 2, workers=1)
    assert reported(made.receive(0, Played("a", "music", "replaced"), 1.0)) == [
        Played("a", "music", "replaced")
    ]
    assert (0, Play("a", "music", "/stem", loop=True)) in told(made.died(0, "killed", 20.0))


def test_a_recording_outlives_its_endpoint():
    made = crew(opened("a"), Record("a", "r", "/file"))
    made.perform(CloseEndpoint("a"))
    made.receive(0, EndpointClosed("a", EndpointStats()), 1.0)
    assert reported(made.receive(0, Recorded("a", "r", 3.5, "closed"), 1.1)) == [
        Recorded("a", "r", 3.5, "closed")
    ]
    assert made.receive(0, Recorded("a", "r", 3.5, "closed"), 1.2) == []
    assert not made._recordings


def test_a_recording_that_outlives_its_endpoint_may_die_with_the_worker():
    made = crew(opened("a"), Record("a", "r", "/file"))
    made.perform(CloseEndpoint("a"))
    made.receive(0, EndpointClosed("a", EndpointStats()), 1.0)
    assert reported(made.died(0, "killed", 2.0))[0] == Recorded("a", "r", -1.0, "the media worker died")


def kept(made):
    """How much a crew still knows."""
    roster = made._roster
    known = (roster.by_name, roster.by_call, roster.by_port, roster.by_room, made._recordings)
    return sum(map(len, known))


def test_all_is_answered_before_an_endpoint_is_given_up():
    made = crew(opened("a"), Play("a", "music", "/stem", loop=True), Record("a", "r", "/file"), workers=1)
    effects = reported(die_often(made, 0, 20.0))
    assert [type(event) for event in effects] == [Played, EndpointFailed]
    assert kept(made) == 0


class TestARoomOverTwoWorkers:
    """Endpoints a, b with worker 0, c, d with worker 1; a room, where a is the first."""

    @pytest.fixture
    def made(self):
        made = crew(opened("a", "1"), opened("c", "2"), opened("b", "1"), opened("d", "2"))
        made.perform(Mix("a", "room"))
        return made

    def arrive(self, made, name, number=1):
        return made.receive(number, EndpointClosed(name, EndpointStats()), 2.0)

    def test_who_enters_moves_to_its_worker(self, made):
        assert made.perform(Mix("c", "room")) == [Tell(1, CloseEndpoint("c"))]
        assert told(self.arrive(made, "c")) == [(0, opened("c", "2")), (0, Mix("c", "room"))]
        assert told(made.perform(Mix("c", "room", muted=True))) == [(0, Mix("c", "room", muted=True))]

    def test_what_was_played_and_is_ordered_on_the_way_goes_on_there(self, made):
        music, digit = Play("c", "music", "/stem", loop=True), SendDigit("c", "1")
        record, stop = Record("c", "r", "/file"), StopRecord("c", "r")
        made.perform(music)
        made.perform(Mix("c", "room"))
        assert [effect for order in (record, digit, stop) for effect in made.perform(order)] == []
        assert made.receive(1, Played("c", "music", "closed"), 1.9) == []
        assert told(self.arrive(made, "c"))[1:] == [
            (0, Mix("c", "room")),
            (0, music),
            (0, record),
            (0, digit),
            (0, stop),
        ]
        assert reported(made.receive(0, Recorded("c", "r", 0.5, "stopped"), 3.0))

    def test_an_announcement_that_was_played_begins_again(self, made):
        announcement = Play("c", "welcome", "/stem")
        made.perform(announcement)
        made.perform(Mix("c", "room"))
        assert made.receive(1, Played("c", "welcome", "closed"), 1.9) == []
        assert (0, announcement) in told(self.arrive(made, "c"))
        assert len(reported(made.receive(0, Played("c", "welcome", "ended"), 3.0))) == 1

    def test_one_that_ended_just_before_does_not(self, made):
        made.perform(Play("c", "welcome", "/stem"))
        made.perform(Mix("c", "room"))
        assert len(reported(made.receive(1, Played("c", "welcome", "ended"), 1.9))) == 1
        assert not [each for _, each in told(self.arrive(made, "c")) if isinstance(each, Play)]

    def test_played_anew_or_stopped_on_the_way(self, made):
        made.perform(Play("c", "one", "/stem"))
        made.perform(Mix("c", "room"))
        assert reported(made.perform(Play("c", "two", "/stem"))) == [Played("c", "one", "replaced")]
        assert made.receive(1, Played("c", "one", "closed"), 1.9) == []
        assert reported(made.perform(StopPlay("c"))) == [Played("c", "two", "stopped")]
        assert not [each for _, each in told(self.arrive(made, "c")) if isinstance(each, Play)]

    def test_closed_on_the_way_all_is_answered(self, made):
        made.perform(Play("c", "one", "/stem"))
        made.perform(Mix("c", "room"))
        made.perform(Record("c", "r", "/file"))
        made.perform(CloseEndpoint("c"))
        assert reported(self.arrive(made, "c")) == [
            Played("c", "one", "closed"),
            Recorded("c", "r", 0.0, "closed"),
            EndpointClosed("c", EndpointStats()),
        ]

    def test_both_workers_die_on_the_way(self, made):
        music = Play("c", "music", "/stem", loop=True)
        made.perform(music)
        made.perform(Mix("c", "room"))
        assert not [each for number, each in told(made.died(0, "killed", 5.0)) if number == 1]
        effects = made.died(1, "killed", 6.0)
        assert (0, Mix("c", "room")) in told(effects)
        assert (0, music) in told(effects)

    def test_who_is_on_its_way_elsewhere_goes_to_the_room_instead(self, made):
        made.perform(Mix("d", "other"))
        made.perform(Join("d", "b"))
        assert made._roster.by_name["b"].moving_to is made._workers[1]
        assert made.perform(Mix("b", "room")) == []
        assert (0, Mix("b", "room")) in told(self.arrive(made, "b", 0))

    def test_a_join_does_not_tear_the_room(self, made):
        made.perform(remote("d", srtp=KEYS))
        assert made.perform(Join("a", "d")) == [Tell(1, CloseEndpoint("d"))]

    def test_two_rooms_keep_their_own_and_nobody_runs_to_and_fro(self, made):
        for name, room in (("b", "room"), ("c", "other"), ("d", "other")):
            made.perform(Mix(name, room))
        assert made.perform(Join("a", "c")) == []
        assert told(made.perform(Mix("c", ""))) == [(1, Mix("c", "")), (1, CloseEndpoint("c"))]
        assert told(self.arrive(made, "c"))[-1] == (0, Join("c", "a"))


rooms = st.sampled_from(["", "x", "y"])
room_steps = st.one_of(
    st.builds(opened, names, st.sampled_from("12")),
    st.builds(remote, names, st.integers(4000, 4002)),
    st.builds(remote, names, st.just(4000), srtp=st.just(KEYS)),
    st.builds(Join, names, names).filter(lambda join: join.a != join.b),
    st.builds(Mix, names, rooms),
    st.builds(Mix, names, rooms),
    st.builds(Play, names, st.sampled_from("pq"), st.just("/stem"), loop=st.booleans()),
    st.builds(StopPlay, names),
    st.builds(Record, names, st.just("r"), st.just("/file")),
    st.builds(CloseEndpoint, names),
    st.integers(0, 1),
)


@settings(max_examples=150)
@given(st.lists(st.tuples(room_steps, st.booleans()), max_size=40))
def test_whatever_happens_a_room_is_with_one_worker_and_every_sound_is_answered(script):
    made, workers, now = crew(), FakeWorkers(), 0.0
    used, in_room, plays, asked = set(), {}, [], []

    def obey(effects):
        workers.obey(effects)
        for event in reported(effects):
            if isinstance(event, Played):
                plays.remove((event.endpoint, event.play))
            elif isinstance(event, Recorded):
                asked.remove((event.endpoint, event.recording))

    def answer():
        steps = 0
        while workers.answers:
            obey(made.receive(*workers.answers.pop(0), now))
            steps += 1
            assert steps < 200, "somebody runs to and fro"

    for number, (step, answers) in enumerate(script):
        now += 100.0
        if isinstance(step, int):
            workers.die(step)
            obey(made.died(step, "killed", now))
        elif isinstance(step, OpenEndpoint):
            if step.endpoint not in used:
                used.add(step.endpoint)
                obey(made.perform(step))
        else:
            if isinstance(step, Record):
                step = Record(step.endpoint, f"r{number}", "/file")  # noqa: PLW2901
                asked.append((step.endpoint, step.recording))
            elif isinstance(step, Play):
                plays.append((step.endpoint, step.play))
            elif isinstance(step, CloseEndpoint):
                in_room.pop(step.endpoint, None)
            elif isinstance(step, Mix) and step.endpoint in made._roster.by_name:
                endpoint = made._roster.by_name[step.endpoint]
                in_room.pop(step.endpoint, None)
                if step.room and not endpoint.is_closing:
                    in_room[step.endpoint] = step.room
            obey(made.perform(step))
        if answers:
            answer()
    answer()
    for room in "xy":
        members = [name for name, its in in_room.items() if its == room]
        assert len({workers.room(name, room) for name in members}) <= 1
        assert None not in {workers.room(name, room) for name in members}
    for name in used:
        obey(made.perform(CloseEndpoint(name)))
        answer()
    assert plays == []
    assert set(asked) == set(made._recordings)  # whose files are being written
    assert kept(made) == len(made._recordings)
