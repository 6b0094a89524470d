"""A real SMTP server (aiosmtpd) in a process of its own, which can be told to be difficult.

Usage: smtp_server.py FOLDER OPTIONS-AS-JSON. It prints its port. Mail it takes is in FOLDER as NUMBER.eml,
what else it is told as lines of JSON in FOLDER/seen. If it "thinks", its answer waits for FOLDER/has-thought.
"""

import asyncio
import base64
import json
import os
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

FOLDER, OPTIONS = Path(sys.argv[1]), json.loads(sys.argv[2])


def note(**what):
    with (FOLDER / "seen").open("a") as file:
        file.write(json.dumps(what) + "\n")


class Handler:
    def __init__(self):
        self.greylisted = set()

    async def auth_XOAUTH2(self, server, args):  # noqa: N802
        blob = args[1].encode() if len(args) > 1 else await server.challenge_auth("")
        said = base64.b64decode(blob).decode()
        user, _, token = said.partition("\1auth=Bearer ")
        note(mechanism="XOAUTH2", user=user)
        if (user, token) == ("user=ann", "token-of-ann\1\1"):
            return AuthResult(success=True)
        await server.challenge_auth(b'{"status":"400"}')
        return AuthResult(success=False, handled=False)

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        note(
            mail=address,
            tls=session.ssl is not None,
            login=bool(session.authenticated),
            helo=session.host_name,
        )
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        note(rcpt=address)
        if address in OPTIONS.get("refuse", ()):
            return "550 5.1.1 No such user here"
        if OPTIONS.get("greylist") and address not in self.greylisted:
            self.greylisted.add(address)
            return "450 4.2.0 Greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if OPTIONS.get("die") == "before taking":
            os._exit(9)
        number = len(list(FOLDER.glob("*.eml"))) + 1
        (FOLDER / "new").write_bytes(envelope.original_content)
        (FOLDER / "new").rename(FOLDER / f"{number}.eml")  # who sees it sees all of it
        note(taken=number, to=envelope.rcpt_tos)
        if OPTIONS.get("die") == "after taking":
            os._exit(9)
        while OPTIONS.get("thinks") and not (FOLDER / "has-thought").exists():
            await asyncio.sleep(0.02)
        return f"250 2.0.0 Queued as {number}"


class Server(SMTP):
    async def smtp_DATA(self, arg):  # noqa: N802
        if OPTIONS.get("die") == "in the middle":
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._reader.readexactly(2000)
            os._exit(9)
        await super().smtp_DATA(arg)


def authenticate(server, session, envelope, mechanism, data):
    note(mechanism=mechanism)
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ann", b"s3cret:/@pass")
    return AuthResult(success=is_right, handled=is_right)


def make(context, handler):
    options = {}
    if OPTIONS.get("auth"):
        left_out = [each for each in ("LOGIN", "PLAIN", "XOAUTH2") if each not in OPTIONS["auth"]]
        options = {"authenticator": authenticate, "auth_exclude_mechanism": left_out, "auth_required": True}
        options["auth_require_tls"] = context is not None and not OPTIONS.get("smtps")
    starts = OPTIONS.get("starttls", False)
    options |= {"tls_context": context, "require_starttls": OPTIONS.get("must", False)} if starts else {}
    return Server(handler, hostname="mx.acme.example", data_size_limit=OPTIONS.get("size", 2**25), **options)


async def main():
    context = None
    if "certificate" in OPTIONS:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*OPTIONS["certificate"])
    handler = Handler()
    wrapped = context if OPTIONS.get("smtps") else None
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: make(context, handler), "127.0.0.1", OPTIONS.get("port", 0), ssl=wrapped, reuse_address=True
    )
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


asyncio.run(main())
