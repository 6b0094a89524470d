"""The writer's thread, with a database whose failures the test decides."""

import queue
import threading

import pytest
from twisted.logger import globalLogPublisher

from pbx.errors import StoreError
from pbx.office.snapshot import Office
from pbx.store.store import UnusableError
from pbx.store.usage import ChargedLeg, OpenLeg
from pbx.store.writer import BATCH, Writer

SOON = 60.0
NEVER = 1000.0


def made(rows):
    """What makes them."""
    return lambda: rows


class FakeStore:
    """What was written; `gone` makes everything fail, `hold` makes it wait, `refused` rows are unusable."""

    def __init__(self) -> None:
        self.bindings: dict[str, object] = {}
        self.records: list[str] = []
        self.office: Office | None = Office(realm="pbx.local")
        self.number = 1
        self.gone = self.is_full = False
        self.refused: set[str] = set()
        self.hold = threading.Event()
        self.hold.set()
        self.tried = threading.Semaphore(0)
        self.batches: list[int] = []
        self.beats = threading.Semaphore(0)

    def save_bindings(self, bindings):
        self._enter(bindings)
        self.bindings.update(bindings)

    def add(self, rows):
        self._enter({row["id"] for row in rows})
        if self.is_full:
            raise StoreError("database: full")
        self.batches.append(len(rows))
        self.records += [row["id"] for row in rows]

    def write(self, changes, alive_s):
        self._enter({change.leg for change in changes})
        self.records += [f"usage {each.leg}" for each in changes]

    def beat(self, alive_s):
        self._enter(())
        self.beats.release()
        if self.is_full:
            raise StoreError("database: full")

    def revision(self):
        self._enter(())
        return self.number

    def load(self):
        return self.office, self.number

    def _enter(self, keys):
        self.tried.release()
        assert self.hold.wait(SOON)
        if self.gone:
            raise StoreError("database: gone")
        if self.refused & set(keys):
            raise UnusableError("database: no")


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def said():
    """What is logged, as text; how long the database was away is the machine's affair."""
    lines: list[str] = []

    def observe(event):
        lines.append(event["log_format"].format(**{**event, "gone": 0}))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def make(store: FakeStore, **options: object) -> Writer:
    return Writer(store, records=store, usage=store, **options)


def row(name: str) -> dict[str, str]:
    return {"id": name}


def test_everything_is_written_before_it_stops(store):
    writer = make(store)
    for number in range(3 * BATCH):
        writer.write_record(row(f"call-{number}"))
    writer.save_bindings("100", made([{"contact": "a"}]))
    writer.stop()
    assert store.records == [f"call-{number}" for number in range(3 * BATCH)]
    assert store.bindings == {"100": [{"contact": "a"}]}
    assert max(store.batches) <= BATCH


def test_a_phone_in_a_new_place_is_saved_without_waiting_for_others(store):
    writer = make(store, gather_s=NEVER)
    writer.save_bindings("100", made([{"contact": "a"}]), is_urgent=True)
    assert store.tried.acquire(timeout=SOON)
    writer.stop()


def test_what_is_urgent_takes_along_what_waits_for_others(store):
    writer = make(store, gather_s=NEVER)
    writer.write_record(row("call-1"))
    writer.save_bindings("100", made([{"contact": "refreshed"}]))
    for number in range(2 * BATCH):
        writer.save_bindings(f"phone-{number}", made([{"contact": "a"}]), is_urgent=True)
    while writer.waiting:
        assert store.tried.acquire(timeout=SOON)
    writer.stop()
    assert store.records == ["call-1"]
    assert len(store.bindings) == 2 * BATCH + 1


def test_who_asks_for_it_finds_all_that_waited_for_others_written(store):
    writer = make(store, gather_s=NEVER)
    for number in range(BATCH - 1):
        writer.write_record(row(f"call-{number}"))
        writer.write_usage(opened(f"leg-{number}"))
    written = queue.Queue()
    writer.flush(lambda done: written.put((done, len(store.records))))
    assert written.get(timeout=SOON) == (True, 2 * (BATCH - 1))
    writer.stop()


def test_more_than_a_batch_is_flushed_whole(store):
    store.hold.clear()
    writer = make(store)
    writer.write_record(row("busy with this"))
    assert store.tried.acquire(timeout=SOON)
    for number in range(3 * BATCH):
        writer.write_record(row(f"call-{number}"))
    written = queue.Queue()
    writer.flush(lambda done: written.put((done, len(store.records))))
    store.hold.set()
    assert written.get(timeout=SOON) == (True, 3 * BATCH + 1)
    writer.stop()


def test_a_database_that_is_gone_tells_who_flushes(store):
    store.gone = True
    writer = make(store, gather_s=NEVER, retry_s=NEVER)
    writer.write_record(row("call-1"))
    written = queue.Queue()
    for _ in range(2):  # the second one, while the thread waits to try again
        writer.flush(written.put)
        assert written.get(timeout=SOON) is False
    writer.stop()


def test_only_the_newest_bindings_of_a_device_wait(store):
    store.hold.clear()
    writer = make(store)
    writer.write_record(row("busy with this"))
    assert store.tried.acquire(timeout=SOON)
    for number in range(50):
        writer.save_bindings("100", made([{"contact": str(number)}]))
    assert writer.waiting == 1
    store.hold.set()
    writer.stop()
    assert store.bindings == {"100": [{"contact": "49"}]}


def test_what_fails_is_tried_again_until_it_works_and_complained_of_once(store, said):
    store.gone = True
    writer = make(store, retry_s=0.001, gather_s=0.0)
    writer.write_record(row("call-1"))
    writer.save_bindings("100", made([{"contact": "old"}]))
    for _ in range(5):
        assert store.tried.acquire(timeout=SOON)
    writer.save_bindings("100", made([{"contact": "new"}]))
    writer.write_record(row("call-2"))
    store.gone = False
    writer.stop()
    assert store.records == ["call-1", "call-2"]
    assert store.bindings == {"100": [{"contact": "new"}]}
    assert said == [
        "database: gone; tried again until it works",
        "the database is back after 0 s; 0 call records are lost",
    ]


def test_a_full_disk_that_answers_questions_is_complained_of_once(store, said):
    """The office can be read all the time."""
    store.is_full = True
    writer = make(store, retry_s=0.001, gather_s=0.0)
    writer.write_record(row("call-1"))
    answers: queue.Queue[object] = queue.Queue()
    for _ in range(3):
        assert store.tried.acquire(timeout=SOON)
        writer.look(1, answers.put)
        assert answers.get(timeout=SOON) is None
    store.is_full = False
    writer.stop()
    assert store.records == ["call-1"]
    assert said == [
        "database: full; tried again until it works",
        "the database is back after 0 s; 0 call records are lost",
    ]


def test_bindings_that_come_while_older_ones_fail_are_the_ones_that_are_kept(store):
    store.hold.clear()
    store.gone = True
    writer = make(store, retry_s=0.001)
    writer.save_bindings("100", made([{"contact": "old"}]))
    assert store.tried.acquire(timeout=SOON)  # it is being written
    writer.save_bindings("100", made([{"contact": "new"}]))
    store.hold.set()
    assert store.tried.acquire(timeout=SOON)
    store.gone = False
    writer.stop()
    assert store.bindings == {"100": [{"contact": "new"}]}


def test_records_that_wait_are_limited_and_the_lost_ones_counted(store, said):
    store.gone = True
    writer = make(store, retry_s=0.001, most_records=10)
    writer.write_record(row("first"))
    assert store.tried.acquire(timeout=SOON)
    assert store.tried.acquire(timeout=SOON)
    for number in range(100):
        writer.write_record(row(f"call-{number}"))
    assert writer.waiting <= 11
    store.gone = False
    writer.stop()
    assert len(store.records) <= 11
    assert store.records[-1] == "call-99"
    assert "call records are lost" in said[-1]
    assert " 0 call records" not in said[-1]


def test_a_database_that_is_gone_at_the_end_holds_nobody_up(store, said):
    store.gone = True
    writer = make(store)
    writer.write_record(row("call-1"))
    writer.save_bindings("100", made([]))
    writer.stop()
    assert said[-1] == "2 changes could not be written"


def test_a_database_that_hangs_at_the_end_is_left_behind(store, said):
    store.hold.clear()
    writer = make(store)
    writer.write_record(row("call-1"))
    assert store.tried.acquire(timeout=SOON)
    writer.write_record(row("call-2"))
    writer.stop(timeout=0.01)
    assert said == ["the database does not answer; 1 changes may be lost"]
    store.hold.set()


def test_one_row_that_cannot_be_written_does_not_hold_up_the_others(store, said):
    store.refused = {"call-2", "101"}
    store.hold.clear()
    writer = make(store)
    writer.write_record(row("call-0"))
    assert store.tried.acquire(timeout=SOON)
    for name in ("call-1", "call-2", "call-3"):
        writer.write_record(row(name))
    for username in ("100", "101", "102"):
        writer.save_bindings(username, made([]))
    store.hold.set()
    writer.stop()
    assert store.records == ["call-0", "call-1", "call-3"]
    assert sorted(store.bindings) == ["100", "102"]
    assert said == [
        "registration of 101 not kept: database: no",
        "call call-2 not recorded: database: no",
    ]


ANSWERS = {
    "nothing has changed": (1, {}, None),
    "another revision": (7, {"number": 8}, (Office(realm="pbx.local"), 8)),
    "an older revision, from a backup": (7, {"number": 2}, (Office(realm="pbx.local"), 2)),
    "the database is gone": (1, {"gone": True}, "database: gone"),
    "the office is gone": (7, {"office": None, "number": 0}, "the office is gone"),
}


@pytest.mark.parametrize(("known", "changes", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_a_look_at_the_office(store, known, changes, expected):
    for name, value in changes.items():
        setattr(store, name, value)
    answers = []
    writer = make(store)
    writer.look(known, answers.append)
    writer.stop()
    [answer] = answers
    assert (str(answer) if isinstance(answer, StoreError) else answer) == expected


def test_the_thread_survives_a_bug_of_who_asked(store):
    writer = make(store)
    writer.look(1, lambda _answer: 1 / 0)
    writer.write_record(row("call-1"))
    writer.stop()
    assert store.records == ["call-1"]


def opened(leg: str) -> OpenLeg:
    return OpenLeg(leg, "call", "100", "2026-11", "+8490", "0.12", "0", 60, 1000.0, 5.0)


def charged(leg: str) -> ChargedLeg:
    return ChargedLeg(leg, "call", "100", "2026-11", "+8490", 1000.0, 60.0, "0.12")


def test_what_a_call_cost_is_written_before_the_call(store):
    writer = make(store)
    for number in range(3 * BATCH):
        writer.write_usage(charged(f"leg-{number}"))
    writer.write_record(row("call-1"))
    writer.stop()
    assert store.records == [*(f"usage leg-{number}" for number in range(3 * BATCH)), "call-1"]


def test_no_call_is_written_while_its_cost_cannot_be(store):
    store.gone = True
    writer = make(store, retry_s=0.001, gather_s=0.0)
    writer.write_usage(charged("leg"))
    writer.write_record(row("call-1"))
    for _ in range(5):
        assert store.tried.acquire(timeout=SOON)
    assert store.records == []
    store.gone = False
    writer.stop()
    assert store.records == ["usage leg", "call-1"]


def test_a_charge_that_no_database_takes_is_complained_of_loudly(store, said):
    store.refused = {"bad"}
    writer = make(store)
    writer.write_usage(charged("bad"))
    writer.write_usage(charged("good"))
    writer.stop()
    assert store.records == ["usage good"]
    assert said == ["leg bad is not charged to 100: database: no"]


def test_signs_of_life_come_only_while_a_leg_is_up(store):
    writer = make(store, gather_s=0.0)
    writer.write_usage(opened("leg"))
    assert store.beats.acquire(timeout=SOON)
    assert store.beats.acquire(timeout=SOON)
    writer.write_usage(charged("leg"))
    writer.write_record(row("call-1"))
    while writer.waiting:
        assert store.tried.acquire(timeout=SOON)
    writer.look(1, lambda _answer: None)
    writer.stop()
    while store.beats.acquire(blocking=False):
        pass
    assert not writer._open


def test_a_sign_of_life_that_a_full_disk_does_not_take_is_complained_of_once(store, said, monkeypatch):
    """The office can be read all the time, and nothing else is to be written."""
    monkeypatch.setattr("pbx.store.writer.BEAT_S", 0.001)
    writer = make(store, gather_s=0.0)
    writer.write_usage(opened("call-1.B1"))
    assert store.beats.acquire(timeout=SOON)
    store.is_full = True
    answers: queue.Queue[object] = queue.Queue()
    for _ in range(3):
        for _ in range(2):
            assert store.beats.acquire(timeout=SOON)
        writer.look(1, answers.put)
        assert answers.get(timeout=SOON) is None
    store.is_full = False
    while store.beats.acquire(blocking=False):
        pass  # those while it was full
    for _ in range(2):
        assert store.beats.acquire(timeout=SOON)
    writer.stop()
    assert said == [
        "database: full; tried again until it works",
        "the database is back after 0 s; 0 call records are lost",
    ]
