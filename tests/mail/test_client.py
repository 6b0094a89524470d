"""The text of a message on the wire (RFC 5321 §4.5.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.mail.client import double_dots

CASES = {
    b"a\r\n": b"a\r\n",
    b"a": b"a\r\n",
    b"": b"\r\n",
    b".\r\n": b"..\r\n",
    b".a\r\n..b\r\n": b"..a\r\n...b\r\n",
    b"a.\r\n.": b"a.\r\n..\r\n",
}


@pytest.mark.parametrize(("text", "wire"), CASES.items(), ids=repr)
def test_dots_are_doubled(text, wire):
    assert double_dots(text) == wire


@given(st.lists(st.text(".ab", max_size=4)))
def test_no_text_ends_the_message_and_every_text_arrives(lines):
    text = "".join(f"{line}\r\n" for line in lines).encode()
    wire = double_dots(text or b"\r\n").split(b"\r\n")
    assert b"." not in wire
    assert b"\r\n".join(line.removeprefix(b".") for line in wire) == (text or b"\r\n")
