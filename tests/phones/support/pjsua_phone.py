"""A PJSIP phone (pjsua2), driven through its agent process."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.phones.support.phone import Account, Answering, CallState, Phone, PhoneCall
from tests.phones.support.process import Program
from tests.phones.support.sound import Ear, write_tone, write_wav
from tests.phones.support.wire import Seen, parse_pjsua

AGENT = Path(__file__).with_name("pjsua_agent.py")

STATES = {
    "NULL": None,
    "CALLING": CallState.CALLING,
    "INCOMING": CallState.INCOMING,
    "EARLY": CallState.RINGING,
    "CONNECTING": None,
    "CONFIRMED": CallState.ESTABLISHED,
    "DISCONNECTED": CallState.ENDED,
    "DISCONNCTD": CallState.ENDED,
}


class PjsuaPhone(Phone):
    program = "pjsua"

    def __init__(
        self,
        name: str,
        account: Account,
        folder: Path,
        tone: float,
        microphone: Path | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, account, folder, tone)
        self._settings = settings
        self._microphone = microphone
        self._is_ready = False
        self._has_mode = False
        self.errors: list[str] = []
        self.lamps: list[str] = []  # the messages that its message-waiting callback was called with

    def start(self) -> None:
        if ":" in self.account.host:
            raise NotImplementedError("the wheel of pjsua2 is built without IPv6")
        rate = 16000
        microphone = self._microphone or write_tone(self.folder / "microphone.wav", self.tone, rate)
        silence = write_wav(self.folder / "silence.wav", np.zeros(rate), rate)
        account = self.account
        settings = {
            "name": self.name,
            "folder": str(self.folder),
            "microphone": str(microphone),
            "silence": str(silence),
            "username": account.username or self.name,
            "password": account.password,
            "domain": account.domain,
            "server": account.server,
            "registrar": bool(account.username),
            "register": account.register,
            "transport": account.transport,
            "srtp": account.srtp,
            "codecs": list(account.codecs),
            "host": account.host,
            "port": self.sip_port,
            "rtp_port": self.rtp_port,
            **self._settings,
        }
        if account.transport == "tls":
            settings["port"] += 1
        self._program = Program(
            self.name, [sys.executable, str(AGENT), json.dumps(settings)], self.folder / "out.log", self._read
        )
        self._wait("the program is ready", lambda: self._is_ready, 15.0)

    def call(self, uri: str, **options: Any) -> PhoneCall:
        with self.changed:
            count = len(self.calls)
            self._order("call", uri=uri, **options)
        self._wait("dialled", lambda: len(self.calls) > count and not self.calls[count].is_incoming, 5.0)
        return self.calls[count]

    def answering(self, mode: Answering) -> None:
        self._has_mode = False
        self._order("mode", status=mode.status, after_s=mode.after_s, contact=mode.contact)
        self._wait("answering mode set", lambda: self._has_mode, 5.0)

    def answer(self, call: PhoneCall, status: int = 200) -> None:
        self._order("answer", call=call.number, status=status)

    def hangup(self, call: PhoneCall) -> None:
        self._order("hangup", call=call.number)

    def hold(self, call: PhoneCall) -> None:
        self._order("hold", call=call.number)
        self._wait("held", lambda: call.direction in ("sendonly", "inactive"), 6.0)

    def resume(self, call: PhoneCall, wait: bool = True) -> None:
        self._order("resume", call=call.number)
        if wait:
            self._wait("resumed", lambda: call.direction == "sendrecv", 6.0)

    def transfer(self, call: PhoneCall, uri: str) -> None:
        self._order("transfer", call=call.number, uri=uri)

    def transfer_attended(self, call: PhoneCall, consulted: PhoneCall) -> None:
        self._order("transfer_attended", call=call.number, consulted=consulted.number)

    def dtmf(self, call: PhoneCall, digits: str, method: str = "rfc4733") -> None:
        self._order("dtmf", call=call.number, digits=digits, method=method)

    def register(self) -> None:
        """REGISTER now."""
        self._order("register")

    def unregister(self) -> None:
        self._order("unregister")

    def reinvite(self, call: PhoneCall, offer: bool = True) -> None:
        """Offer the session again, or ask for an offer."""
        self._order("reinvite", call=call.number, offer=offer)

    def message(self, call: PhoneCall, text: str) -> None:
        """MESSAGE within the call."""
        self._order("message", call=call.number, text=text)

    def ear(self, call: PhoneCall) -> Ear:
        return Ear(lambda: [self.folder / f"heard-{call.number}.wav"], self.name, self.tone)

    def leave(self) -> None:
        assert self._program is not None
        self._order("quit")
        self._program.wait_end(5.0)

    def wire(self) -> list[Seen]:
        log = self.folder / "wire.log"
        return parse_pjsua(log.read_text("utf-8", "replace")) if log.exists() else []

    def _order(self, what: str, **details: Any) -> None:
        assert self._program is not None, f"{self.name} was not started"
        self._program.write(json.dumps({"do": what, **details}) + "\n")

    def _read(self, line: str) -> None:
        if not line.startswith("{"):
            return
        facts = json.loads(line)
        with self.changed:
            getattr(self, f"_on_{facts['event']}", self._on_other)(facts)
            self.changed.notify_all()

    def _on_other(self, facts: dict[str, Any]) -> None: ...

    def _on_ready(self, facts: dict[str, Any]) -> None:
        self._is_ready = True

    def _on_mode(self, facts: dict[str, Any]) -> None:
        self._has_mode = True

    def _on_error(self, facts: dict[str, Any]) -> None:
        self.errors.append(facts["text"])

    def _on_message(self, facts: dict[str, Any]) -> None:
        self.messages.append(facts["text"])

    def _on_mwi(self, facts: dict[str, Any]) -> None:
        self.lamps.append(facts["text"])

    def _call(self, number: int, is_incoming: bool = False) -> PhoneCall:
        while len(self.calls) <= number:
            self._new_call(str(len(self.calls)), is_incoming)
        return self.calls[number]

    def _on_dialled(self, facts: dict[str, Any]) -> None:
        self._call(facts["call"]).since[CallState.CALLING] = facts["at"]

    def _on_incoming(self, facts: dict[str, Any]) -> None:
        call = self._call(facts["call"], is_incoming=True)
        call.remote = facts["remote"]
        call.since[CallState.INCOMING] = facts["at"]

    def _on_call(self, facts: dict[str, Any]) -> None:
        call = self._call(facts["call"])
        call.remote = facts["remote"]
        if facts["status"]:
            call.status, call.reason = facts["status"], facts["reason"]
            call.statuses.append(facts["status"])
        state = STATES.get(facts["state"])
        if state is CallState.RINGING and call.is_incoming:
            state = CallState.INCOMING
        if state is not None:
            call.state = state
            call.since.setdefault(state, facts["at"])

    def _on_media(self, facts: dict[str, Any]) -> None:
        call = self._call(facts["call"])
        call.direction = facts["direction"]
        call.codec = facts["codec"] or call.codec
        call.srtp = facts["profile"] or call.srtp

    def _on_dtmf(self, facts: dict[str, Any]) -> None:
        self._call(facts["call"]).digits += facts["digit"]

    def _on_transfer(self, facts: dict[str, Any]) -> None:
        self._call(facts["call"]).transfer_statuses.append(facts["status"])
