"""Replies of servers, and of what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.mail.reply import (
    LONGEST_WORDS,
    MOST_LINES,
    MalformedReplyError,
    Reply,
    ReplyReader,
    extensions,
    words,
)
from pbx.mail.sasl import Login, auth_command


def test_a_reply_of_one_line_and_of_several():
    reader = ReplyReader()
    assert reader.feed(b"250 OK") == Reply(250, b"OK")
    assert reader.feed(b"250-mx.acme.example") is None
    assert reader.feed(b"250-SIZE 1000") is None
    assert reader.feed(b"250 AUTH PLAIN LOGIN") == Reply(250, b"mx.acme.example\nSIZE 1000\nAUTH PLAIN LOGIN")
    assert reader.feed(b"354") == Reply(354, b"")
    assert reader.feed(b"250 ") == Reply(250, b"")


MALFORMED = [
    b"",
    b"OK",
    b"25 OK",
    b"2500 OK",
    b"250_OK",
    b"150 wait",
    b"+50 OK",
    b" 250 OK",
    b"HTTP/1.1 400 Bad",
]


@pytest.mark.parametrize("line", MALFORMED)
def test_what_is_no_reply(line):
    with pytest.raises(MalformedReplyError, match="does not speak SMTP"):
        ReplyReader().feed(line)


def test_two_codes_in_one_reply():
    reader = ReplyReader()
    reader.feed(b"250-a")
    with pytest.raises(MalformedReplyError, match="250 and 251 in one reply"):
        reader.feed(b"251 b")


def test_a_reply_without_end():
    reader = ReplyReader()
    for _ in range(MOST_LINES - 1):
        assert reader.feed(b"220-still coming") is None
    with pytest.raises(MalformedReplyError, match=f"over {MOST_LINES} lines"):
        reader.feed(b"220-still coming")


@given(st.lists(st.binary(max_size=80) | st.from_regex(rb"\A[0-9]{3}[ -].{0,5}\Z")))
def test_any_lines_are_replies_or_malformed(lines):
    reader = ReplyReader()
    for line in lines:
        try:
            reply = reader.feed(line)
        except MalformedReplyError:
            return
        assert reply is None or 200 <= reply.code < 600


@given(st.binary(max_size=5000))
def test_words_are_one_printable_line(text):
    said = words(text)
    assert said.isprintable()
    assert len(said) <= LONGEST_WORDS


def test_words_of_latin_1_are_readable_but_for_the_letters_that_are_none():
    assert words("Empfänger unbekannt".encode("latin-1")) == "Empf�nger unbekannt"


def test_extensions():
    assert extensions(b"mx at your service\nSIZE 1000\nauth PLAIN LOGIN\nSTARTTLS\n\xff\xfe") == {
        "SIZE": "1000",
        "AUTH": "PLAIN LOGIN",
        "STARTTLS": "",
        "��": "",
    }


def test_what_a_server_repeats_of_our_secrets_is_cut_out():
    login = Login("ann", "hush")
    plain = auth_command(login, "PLAIN").split()[-1]
    told = b"535 cannot use " + plain + b" aHVzaA== hush"
    assert login.redact(told) == b"535 cannot use *** *** ***"
    assert "hush" not in repr(login)


def test_what_is_said_to_log_in():
    login = Login("ann", "pässword", ("XOAUTH2", "PLAIN", "LOGIN"))
    assert auth_command(login, "PLAIN") == b"AUTH PLAIN AGFubgBww6Rzc3dvcmQ="
    assert auth_command(login, "LOGIN") == b"AUTH LOGIN"
    assert [login.answer("LOGIN", said) for said in range(3)] == [b"ann", "pässword".encode(), None]
    assert login.first("XOAUTH2") == "user=ann\1auth=Bearer pässword\1\1".encode()
    assert [login.answer("XOAUTH2", said) for said in (1, 2)] == [b"", None]
    assert login.answer("PLAIN", 1) is None
    assert [login.choose(offered) for offered in ("plain login", "LOGIN", "CRAM-MD5", "")] == [
        "PLAIN",
        "LOGIN",
        "",
        "",
    ]
