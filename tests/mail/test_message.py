"""What mails say, and that they are proper messages whatever a caller calls himself."""

import email
import json
from datetime import UTC, datetime
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.mail.facts import (
    CallerIdRequest,
    EmergencyCall,
    Extension,
    MailboxFull,
    MissedCall,
    NewVoicemail,
    Party,
    Trial,
    UsageReached,
)
from pbx.mail.letter import LONGEST, clean, letter_of, show_duration, write_letter
from pbx.mail.message import Attachment, Envelope, make_message, render_html, render_plain

AT = datetime(2026, 3, 28, 17, 5, tzinfo=UTC)
ANN, CALLER = Extension("100", "Ann"), Party("+6598765432", "Bob Tan")
ENVELOPE = Envelope("0123456789abcdef@acme.example", "pbx@acme.example", "ann@acme.example", 1774717500.0)
MP3 = bytes(range(256)) * 40

KINDS = {
    "a missed call": (
        MissedCall(CALLER, ANN, AT, 21.4),
        "Missed call from Bob Tan (+6598765432) to 100 (Ann)",
        [
            "Caller:   Bob Tan (+6598765432)",
            "Sunday, 29 March 2026, 01:05 (Asia/Singapore)",
            "Rang for: 0:21",
        ],
    ),
    "a missed call of nobody known": (
        MissedCall(Party(), Extension("100"), AT, 3600),
        "Missed call from a withheld number to 100",
        ["Caller:   a withheld number", "Rang for: 1:00:00"],
    ),
    "a voicemail": (
        NewVoicemail(CALLER, ANN, AT, 75, "*97"),
        "Voicemail from Bob Tan (+6598765432) to 100 (Ann) (1:15)",
        ["Duration: 1:15", "dial *97"],
    ),
    "a full mailbox": (
        MailboxFull(ANN, AT, 50, 61.2, "*97"),
        "The mailbox of 100 (Ann) is full",
        ["Messages: 50", "Length:   61 minutes", "dial *97"],
    ),
    "a voicemail, and no code for mailboxes": (
        NewVoicemail(CALLER, ANN, AT, 75, ""),
        "Voicemail from Bob Tan (+6598765432) to 100 (Ann) (1:15)",
        ["The message is also in the mailbox."],
    ),
    "a full mailbox, and no code for mailboxes": (
        MailboxFull(ANN, AT, 50, 61.2, ""),
        "The mailbox of 100 (Ann) is full",
        ["no more messages until some are deleted."],
    ),
    "an emergency call": (
        EmergencyCall(ANN, AT, "995", "+6560001000", "ann-desk"),
        "Emergency call: 100 (Ann) dialled 995",
        ["Phone:        ann-desk", "Shown number: +6560001000"],
    ),
    "an emergency call again and again": (
        EmergencyCall(ANN, AT, "995", repeated=7),
        "Emergency call: 100 (Ann) dialled 995 again",
        ["Repeated: 7 calls since the last mail"],
    ),
    "80 % used": (
        UsageReached(ANN, AT, 80, "40.00", "50.00"),
        "80 % of the call limit of 100 (Ann) used",
        ["40.00 of 50.00 this month (80 %)", "When the limit is reached"],
    ),
    "all used": (
        UsageReached(ANN, AT, 100, "300 min", "300 min"),
        "100 % of the call limit of 100 (Ann) used",
        ["Call limit reached", "No more outside calls"],
    ),
    "a wish for a caller ID": (
        CallerIdRequest(ANN, AT, "+6560001001", "pending", "Ann Lee"),
        "Caller ID +6560001001 for 100 (Ann): pending",
        ["By:        Ann Lee", "An administrator can approve or reject it."],
    ),
    "a caller ID given": (
        CallerIdRequest(ANN, AT, "+6560001001", "approved"),
        "Caller ID +6560001001 for 100 (Ann): approved",
        ["It can be chosen from now on."],
    ),
    "a caller ID denied": (
        CallerIdRequest(ANN, AT, "+6560001001", "rejected"),
        "Caller ID +6560001001 for 100 (Ann): rejected",
        ["Calls show the same number as before."],
    ),
    "a test": (Trial(AT), "Test of the telephone system's mail", ["pbx mail test"]),
}


def read(raw: bytes) -> email.message.EmailMessage:
    message = email.message_from_bytes(raw, policy=policy.default)
    assert not message.defects
    return message


@pytest.mark.parametrize(("facts", "subject", "lines"), KINDS.values(), ids=KINDS)
def test_each_kind(facts, subject, lines):
    letter = write_letter(facts, "Acme", "Asia/Singapore")
    message = read(make_message(letter, ENVELOPE))
    assert message["Subject"] == subject
    text = message.get_body(("plain",)).get_content()
    page = message.get_body(("html",)).get_content()
    for line in lines:
        assert line in text
    for _, value in letter.rows:
        assert value.replace("'", "&#x27;") in page
    assert letter_of(json.loads(json.dumps(letter.as_row()))) == letter


def test_the_headers():
    message = read(make_message(write_letter(Trial(AT), "Acme, Söhne", "UTC"), ENVELOPE))
    assert message["From"].addresses[0].display_name == "Acme, Söhne"
    assert message["From"].addresses[0].addr_spec == "pbx@acme.example"
    assert message["To"] == "ann@acme.example"
    assert message["Date"] == "Sat, 28 Mar 2026 17:05:00 +0000"
    assert message["Message-ID"] == "<0123456789abcdef@acme.example>"
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_recording_goes_along_and_decodes():
    letter = write_letter(NewVoicemail(CALLER, ANN, AT, 75, "*97"), "Acme", "UTC")
    [part] = read(make_message(letter, ENVELOPE, Attachment("voicemail.mp3", MP3))).iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == ("audio/mpeg", "voicemail.mp3")
    assert part.get_content() == MP3


def test_a_recording_that_is_gone_is_said_to_be():
    letter = write_letter(NewVoicemail(CALLER, ANN, AT, 75, "*97"), "Acme", "UTC")
    note = "The recording <x> is gone."
    message = read(make_message(letter, ENVELOPE, note=note))
    assert note in message.get_body(("plain",)).get_content()
    assert "The recording &lt;x&gt; is gone." in message.get_body(("html",)).get_content()


def test_the_same_letter_is_the_same_message_each_time():
    letter = write_letter(NewVoicemail(CALLER, ANN, AT, 75, "*97"), "Acme", "UTC")
    raw = make_message(letter, ENVELOPE, Attachment("voicemail.mp3", MP3))
    assert raw == make_message(letter, ENVELOPE, Attachment("voicemail.mp3", MP3))


def test_what_a_caller_calls_himself_is_no_html_and_no_header():
    bad = Party("+65", '<img src="x">\r\nBcc: all@acme.example\r\n\r\n<script>')
    letter = write_letter(MissedCall(bad, ANN, AT, 1), "Acme", "UTC")
    message = read(make_message(letter, ENVELOPE))
    assert "Bcc" not in message
    assert "<img" not in render_html(letter)
    assert "<script>" not in render_html(letter)
    assert '<img src="x"> Bcc: all@acme.example <script> (+65)' in render_plain(letter)


def test_a_name_that_looks_encoded_is_not_decoded():
    bad = Party("+65", "=?utf-8?q?x=0D=0ABcc:_all@acme.example?=")
    letter = write_letter(MissedCall(bad, ANN, AT, 1), "=?utf-8?b?DQpCY2M6IHg=?=", "UTC")
    message = read(make_message(letter, ENVELOPE))
    assert "Bcc" not in message
    assert "=0D=0ABcc" in message["Subject"]


ANY = st.text(max_size=300) | st.text('=?utf8qb\r\n:<>"\\,;@é安 \t.', max_size=300)


@given(name=ANY, number=ANY, office=ANY, label=ANY)
def test_any_name_makes_a_proper_message(name, number, office, label):
    letter = write_letter(
        NewVoicemail(Party(number, name), Extension("100", label), AT, 5, "*97"), office, "UTC"
    )
    raw = make_message(letter, ENVELOPE, Attachment("voicemail.mp3", b"ID3\n.\n"))
    assert raw.isascii()
    lines = raw.split(b"\r\n")
    assert not [line for line in lines if len(line) > 998 or b"\r" in line or b"\n" in line]
    message = read(raw)
    names = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    assert message.keys() == names
    assert message["From"].addresses[0].addr_spec == "pbx@acme.example"
    assert [each.addr_spec for each in message["To"].addresses] == ["ann@acme.example"]
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "audio/mpeg",
    ]
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == render_plain(letter)
    [part] = message.iter_attachments()
    assert part.get_content() == b"ID3\n.\n"


@given(ANY)
def test_clean_text_is_one_printable_line(text):
    line = clean(text)
    assert line.isprintable()
    assert len(line) <= LONGEST
    assert clean(line) == line


def test_durations():
    assert [show_duration(each) for each in (-1, 0, 59.4, 59.6, 3599, 3600, 36000)] == [
        "0:00",
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "10:00:00",
    ]
