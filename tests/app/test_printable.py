"""Nothing that a stranger writes reaches a terminal or the log as it is."""

import pytest
from twisted.logger import globalLogPublisher

from pbx.app.perform import LEVELS, Performer
from pbx.app.printable import printable
from pbx.app.show import show_status
from pbx.call.effects import Note
from pbx.media.control import MediaControl


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ann Lee", "Ann Lee"),
        ("李", "李"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\r\nb", "a\\r\\nb"),
        ("\udcff\u2028", "\\udcff\\u2028"),
        ("x" * 500, "x" * 300 + "..."),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("level", ["info", "warn", "error", "critical"])
def test_a_note_is_one_printable_line_whatever_its_level(level):
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        perform = Performer(MediaControl(None, 0, print), print, print, print, print)
        perform(Note(level, "{user} from {port}", {"user": "\x1b[31m\nroot", "port": 5060}))
    finally:
        globalLogPublisher.removeObserver(events.append)
    (event,) = [each for each in events if "port" in each]
    assert event["user"] == "\\x1b[31m\\nroot"
    assert event["port"] == 5060
    assert event["log_level"] is LEVELS[level]


def test_a_phone_draws_nothing_into_the_status(capsys):
    row = dict.fromkeys(("extension", "device", "address", "transport"), "x")
    row |= {"reachable": True, "round_trip_ms": 3, "expires_s": 9, "user_agent": "\x1b[2J[/red]"}
    call = {"id": "1", "caller": "100", "callee": "\x1b[31m[/]", "state": "up", "since_s": 1}
    show_status({"up_s": 1, "listening": [], "registrations": [row], "calls": [call]})
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "\x1b[31m" not in out
    assert "[/red]" in out


@pytest.mark.parametrize("caller", ["[/bold]", "[red]x", ":bomb:", "\x1b[31m"])
def test_a_caller_is_shown_as_he_calls_himself(capsys, caller):
    call = {"id": "1", "caller": caller, "callee": "100", "state": "up", "since_s": 1}
    show_status({"up_s": 1, "listening": ["udp [fd00::1]:5060"], "registrations": [], "calls": [call]})
    out = capsys.readouterr().out
    assert printable(caller) in out
    assert "udp [fd00::1]:5060" in out


def test_nor_does_a_carrier(capsys):
    trunk = {"kind": "trunk", "name": "carrier", "server": "sip:h", "address": "", "state": "refused"}
    trunk |= {"since_s": 90, "expires_s": None, "calls": 2, "error": "403 \x1b[2J[/red]"}
    show_status({"up_s": 1, "listening": [], "registrations": [], "calls": [], "trunks": [trunk]})
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    for shown in ("carrier", "sip:h", "refused", "0:01:30", "[/red]"):
        assert shown in out
