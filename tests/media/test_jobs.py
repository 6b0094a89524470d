"""The frames between core and speech process."""

from marshal import dumps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.errors import MediaError
from pbx.media.jobs import Decoder, encode

plain = st.none() | st.integers() | st.text(max_size=9) | st.binary(max_size=9) | st.floats(allow_nan=False)
messages = st.dictionaries(st.text(max_size=5), plain | st.lists(plain, max_size=3).map(tuple), max_size=4)


@given(st.lists(messages, max_size=4), st.integers(1, 40))
def test_round_trip_in_any_pieces(sent, size):
    data = b"".join(map(encode, sent))
    decoder = Decoder()
    found = [each for at in range(0, len(data), size) for each in decoder.feed(data[at : at + size])]
    assert found == sent


@pytest.mark.parametrize("body", [b"", b"?", b"\xff" * 9, dumps([1]), dumps("text"), dumps({"a": 1})[:-2]])
def test_what_is_no_message_is_refused(body):
    with pytest.raises(MediaError):
        Decoder().feed(len(body).to_bytes(4, "big") + body)


def test_a_frame_too_large():
    with pytest.raises(MediaError, match="a frame of"):
        Decoder(10).feed(b"\0\0\1\0")
