"""The outbox on both databases."""

from dataclasses import replace

import pytest

from pbx.store.outbox import KEEP_REFUSED_S, KEEP_SENT_S, Outbox, OutboxRow

NOW = 1000.0


def mail(number: int, **changes: object) -> OutboxRow:
    row = OutboxRow(
        id=f"mail-{number}",
        created_at=NOW + number,
        since=NOW + number,
        recipient="ann@acme.example",
        subject="Missed call from Zoë 🎈",
        body={"letter": {"heading": "安"}},
        state="waiting",
        attempts=0,
        doubts=0,
        next_at=NOW + number,
        changed_at=NOW + number,
        words="",
    )
    return replace(row, **changes)


@pytest.fixture
def outbox(store):
    return Outbox(store)


def states(outbox: Outbox) -> dict[str, str]:
    return {row.id: row.state for row in outbox.rows(("waiting", "sending", "sent", "refused"), 1000)}


def test_what_is_added_is_due_when_its_time_has_come_the_longest_due_first(outbox):
    rows = [mail(number) for number in (3, 1, 2)]
    assert outbox.add(rows) == 0
    assert [row.id for row in outbox.due(NOW + 2, 10)] == ["mail-1", "mail-2"]
    assert outbox.due(NOW + 9, 1) == [mail(1)]
    assert [row.id for row in outbox.due(NOW + 9, 10, {"mail-1", "mail-3"})] == ["mail-2"]


def test_adding_twice_changes_nothing(outbox):
    outbox.add([mail(1)])
    outbox.claim("mail-1", NOW)
    outbox.add([mail(1), mail(2)])
    assert states(outbox) == {"mail-1": "sending", "mail-2": "waiting"}


def test_only_what_waits_can_be_claimed_and_once(outbox):
    outbox.add([mail(1)])
    assert outbox.claim("mail-1", NOW)
    assert not outbox.claim("mail-1", NOW)
    assert not outbox.claim("mail-2", NOW)
    assert outbox.due(NOW + 99, 10) == []


def test_of_what_was_sent_the_words_are_kept_and_not_the_body(outbox):
    outbox.add([mail(1)])
    outbox.claim("mail-1", NOW)
    outbox.finish("mail-1", "sent", 1, 0, NOW, "250 queued as 4711", NOW + 5)
    [row] = outbox.rows(("sent",), 10)
    assert row == mail(
        1, state="sent", attempts=1, next_at=NOW, changed_at=NOW + 5, words="250 queued as 4711", body={}
    )


def test_what_was_being_sent_at_the_end_of_a_server_waits_again_and_counts_as_doubtful(outbox):
    outbox.add([mail(1), mail(2), mail(3, doubts=2)])
    outbox.claim("mail-1", NOW)
    outbox.claim("mail-3", NOW)
    assert outbox.recover(NOW + 50, most_doubts=3) == 2
    found = {row.id: (row.state, row.doubts, row.attempts) for row in outbox.rows(("waiting", "refused"), 9)}
    assert found == {"mail-1": ("waiting", 1, 1), "mail-2": ("waiting", 0, 0), "mail-3": ("refused", 3, 1)}


def test_a_server_that_takes_nothing_puts_off_what_is_due_and_refuses_what_is_old(outbox):
    outbox.add([mail(1, since=5.0), mail(2), mail(99)])
    assert outbox.delay(NOW + 10, NOW + 60, give_up_before=6.0, words="connection refused") == 1
    found = {
        row.id: (row.state, row.next_at, row.attempts, row.words) for row in outbox.rows(("waiting",), 9)
    }
    assert found == {
        "mail-2": ("waiting", NOW + 60, 1, "connection refused"),
        "mail-99": ("waiting", NOW + 99, 0, ""),
    }
    [refused] = outbox.rows(("refused",), 9)
    assert (refused.id, refused.words) == ("mail-1", "given up after two days: connection refused")


def test_when_too_many_wait_the_oldest_are_refused(store):
    outbox = Outbox(store, most_waiting=3)
    outbox.add([mail(number) for number in range(3)])
    assert outbox.add([mail(3), mail(4)]) == 2
    assert states(outbox) == {
        "mail-0": "refused",
        "mail-1": "refused",
        "mail-2": "waiting",
        "mail-3": "waiting",
        "mail-4": "waiting",
    }
    assert outbox.counts() == {"waiting": 3, "sending": 0, "sent": 0, "refused": 2}


def test_retry_of_all_or_of_one(outbox):
    outbox.add(
        [mail(1, state="refused", attempts=7, doubts=3), mail(2, state="refused"), mail(3, state="sent")]
    )
    assert outbox.retry(NOW + 500, ["mail-1", "mail-3"]) == 1
    [row] = outbox.due(NOW + 500, 9)
    assert (row.id, row.attempts, row.doubts, row.since) == ("mail-1", 0, 0, NOW + 500)
    assert outbox.retry(NOW + 500) == 2


def test_what_ended_long_ago_is_forgotten(outbox):
    outbox.add(
        [
            mail(1, state="sent", changed_at=0.0),
            mail(2, state="refused", changed_at=0.0),
            mail(3, state="sent", changed_at=NOW),
            mail(4),
        ]
    )
    outbox.tidy(KEEP_SENT_S + 1)
    assert set(states(outbox)) == {"mail-2", "mail-3", "mail-4"}
    outbox.tidy(KEEP_REFUSED_S + 1)
    assert set(states(outbox)) == {"mail-4"}


def test_attachments_are_needed_by_what_is_not_sent(outbox):
    def attached(path):
        return {"letter": {}, "attachment": path}

    outbox.add(
        [
            mail(1, body=attached("/data/outbox/1.mp3")),
            mail(2, body=attached("/data/outbox/2.mp3"), state="refused"),
            mail(3, body=attached("/data/outbox/3.mp3")),
            mail(4, body=attached("")),
        ]
    )
    outbox.finish("mail-3", "sent", 1, 0, NOW, "250 ok", NOW)
    assert outbox.attachments() == {"/data/outbox/1.mp3", "/data/outbox/2.mp3"}
