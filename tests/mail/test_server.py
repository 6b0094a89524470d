"""The mail server's URL."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.mail.server import MailServer, parse_server

URLS = {
    "smtp://mx.acme.example": MailServer("mx.acme.example", 25, "optional"),
    "smtp://mx.acme.example/": MailServer("mx.acme.example", 25, "optional"),
    "smtp://ann:x@h": MailServer("h", 587, "required", "ann", "x"),
    "smtp://ann%40acme.example:p%3A%2F%40%25@h:2525": MailServer(
        "h", 2525, "required", "ann@acme.example", "p:/@%"
    ),
    "smtp://ann@acme.example:x@h": MailServer("h", 587, "required", "ann@acme.example", "x"),
    "smtp://ann:x@h?starttls=off": MailServer("h", 587, "off", "ann", "x"),
    "smtp://h?starttls=required": MailServer("h", 25, "required"),
    "smtps://ann:x@h?auth=login": MailServer("h", 465, "always", "ann", "x", "login"),
    "smtp://[::1]:2525?starttls=off": MailServer("::1", 2525, "off"),
    "smtp://ann@h?auth=xoauth2&starttls=required": MailServer("h", 587, "required", "ann", "", "xoauth2"),
}


@pytest.mark.parametrize(("url", "server"), URLS.items(), ids=URLS)
def test_urls(url, server):
    assert parse_server(url) == server


WRONG = {
    "": "a URL such as",
    "imap://h": "a URL such as",
    "smtp://": "a URL such as",
    "smtp://h:0": "a URL such as",
    "smtp://h:99999": "a URL such as",
    "smtp://[::1": "a URL such as",
    "smtp://a b@h": "a URL such as",
    "smtp://ann:hus/h@h": "a URL such as",
    "smtp://h/path": "nothing but options after the host",
    "smtp://h#x": "nothing but options after the host",
    "smtp://:hush@h": "a user beside the password",
    "smtp://h?auth=plain": "a user for auth=plain",
    "smtp://ann:hush@h?auth=md5": "auth= one of auto, plain, login, xoauth2",
    "smtp://h?starttls=yes": "starttls= one of required, optional, off",
    "smtp://h?tls=1": "the options starttls and auth",
    "smtps://h?starttls=off": "starttls with smtp:// only",
}


@pytest.mark.parametrize(("url", "says"), WRONG.items(), ids=WRONG)
def test_wrong_urls(url, says):
    with pytest.raises(ValueError, match=re.escape(says)) as raised:
        parse_server(url)
    assert "hush" not in str(raised.value)


@given(st.text() | st.text("smtp:/@[]?#=&%ah1.", max_size=40).map(lambda text: f"smtp://{text}"))
def test_any_text_is_a_server_or_says_why_not(text):
    try:
        server = parse_server(text)
    except ValueError:
        return
    assert server.host
    assert 1 <= server.port <= 65535


def test_passwords_do_not_show():
    assert "hush" not in repr(parse_server("smtp://ann:hush@h"))
