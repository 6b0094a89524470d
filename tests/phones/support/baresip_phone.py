"""A baresip phone: its own configuration folder, driven over the ctrl_tcp module (netstrings of JSON)."""

import itertools
import json
import re
import signal
import socket
import threading
from pathlib import Path
from typing import Any, Final

from tests.phones.support.phone import Account, Answering, CallState, Phone, PhoneCall
from tests.phones.support.process import Program
from tests.phones.support.sound import Ear, write_tone
from tests.phones.support.waiting import wait_until
from tests.phones.support.wire import Seen, parse_baresip

MODULES: Final = Path("/usr/lib/baresip/modules")
RATES: Final = {"G722": 16000}  # of the sound; else 8000
NAMES: Final = {"PCMU": "PCMU/8000/1", "PCMA": "PCMA/8000/1", "G722": "G722/16000/1"}

CONFIG: Final = """\
poll_method epoll
sip_listen {host}:{sip_port}
call_local_timeout 120
call_max_calls 8
audio_player aubridge,nobody
audio_source aufile,{microphone}
audio_alert aubridge,nobody
ausrc_srate {rate}
auplay_srate {rate}
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
rtp_ports {rtp_port}-{rtp_end}
rtcp_mux no
jitter_buffer_delay 5-10
net_interface {interface}
module_path {modules}
module g711.so
module g722.so
module sndfile.so
module aufile.so
module aubridge.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control_port}
snd_path {sound}
ringback_disabled yes
statmode_default off
menu_bell no
{certificate}
"""


class BaresipPhone(Phone):
    program = "baresip"

    def __init__(
        self, name: str, account: Account, folder: Path, tone: float, certificate: Path | None = None
    ) -> None:
        super().__init__(name, account, folder, tone)
        self._certificate = certificate
        self._control: socket.socket | None = None
        self._tokens = itertools.count(1)
        self._answers: dict[str, str] = {}
        self._heard_before: dict[int, set[Path]] = {}  # the recordings of calls that had ended before
        self._finished: set[Path] = set()

    def start(self) -> None:
        account = self.account
        rate = RATES.get(account.codecs[0], 8000)
        sound = self.folder / "sound"
        sound.mkdir(exist_ok=True)
        (self.folder / "config").write_text(
            CONFIG.format(
                host=f"[{account.host}]" if ":" in account.host else account.host,
                interface=account.host,
                sip_port=self.sip_port,
                rtp_port=self.rtp_port,
                rtp_end=self.rtp_port + 20,
                control_port=self.control_port,
                microphone=write_tone(self.folder / "microphone.wav", self.tone, rate, 60.0),
                rate=rate,
                modules=MODULES,
                sound=sound,
                certificate=f"sip_certificate {self._certificate}" if self._certificate else "",
            )
        )
        (self.folder / "accounts").write_text(self._account_line() + "\n")
        (self.folder / "contacts").write_text("")
        self._program = Program(
            self.name,
            ["baresip", "-s", "-v", "-f", str(self.folder)],
            self.folder / "out.log",
            self._read_line,
        )
        # Not "baresip is ready": it sometimes never says so while its first registration fails in a loop.
        self._control = wait_until(f"{self.name}'s control port", lambda: connect(self.control_port))
        threading.Thread(target=self._read_control, args=(self._control,), daemon=True).start()

    def call(self, uri: str) -> PhoneCall:
        with self.changed:
            call = self._new_call("", is_incoming=False, remote=uri)
            self._remember(call)
        self._command("dial", uri)
        return call

    def dial(self, user: str) -> PhoneCall:
        """It adds the transport itself, even a second time."""
        return self.call(f"sip:{user}@{self.account.server}")

    def answering(self, mode: Answering) -> None:
        if mode.after_s:
            raise NotImplementedError("baresip rings until it is told; use answer()")
        known = {200: "auto", 180: "manual", 183: "early"}
        if mode.status not in known:
            raise NotImplementedError(f"baresip cannot answer every call with {mode.status}")
        self._command("answermode", known[mode.status])

    def answer(self, call: PhoneCall, status: int = 200) -> None:
        if status == 200:
            self._command("accept", "")
        elif status == 486:
            self._command("hangup", "")
        else:
            raise NotImplementedError(f"baresip cannot answer with {status}")

    def hangup(self, call: PhoneCall) -> None:
        self._command("hangup", "")

    def hold(self, call: PhoneCall) -> None:
        self._command("hold", "")

    def resume(self, call: PhoneCall) -> None:
        self._command("resume", "")

    def transfer(self, call: PhoneCall, uri: str) -> None:
        self._command("transfer", uri)

    def dtmf(self, call: PhoneCall, digits: str) -> None:
        for digit in digits:
            self._command("sndcode", digit)

    def ear(self, call: PhoneCall) -> Ear:
        before = self._heard_before.get(call.number, set())
        return Ear(lambda: [path for path in self._recordings() if path not in before], self.name, self.tone)

    def packets_received(self) -> int:
        """RTP packets of its current call. Its recorder stops for good when it has held the call once."""
        found = re.search(r"rcvd=(\d+)", self._command("audio_debug", ""))
        return int(found[1]) if found else 0

    def leave(self) -> None:
        assert self._program is not None
        self._program.signal(signal.SIGTERM)  # hangs up and unregisters
        self._program.wait_end(4.0)

    def kill(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        super().kill()

    def wire(self) -> list[Seen]:
        return parse_baresip(
            self.log_text(),
            range(self.sip_port, self.sip_port + 2),
            int(self.account.server.rpartition(":")[2] or 0),
        )

    def _account_line(self) -> str:
        account = self.account
        options = [
            "answermode=auto",
            "audio_codecs=" + ",".join(NAMES[codec] for codec in account.codecs),
            "ptime=20",
        ]
        if account.srtp != "off":
            options.append("mediaenc=" + {"required": "srtp-mand", "optional": "srtp"}[account.srtp])
        transport = f";transport={account.transport}"
        if not account.username:
            host = f"[{account.host}]" if ":" in account.host else account.host
            return f"<sip:{self.name}@{host}{transport}>;regint=0;" + ";".join(options)
        options += [
            f'outbound="sip:{account.server}{transport}"',
            f"auth_pass={account.password}",
            f"regint={300 if account.register else 0}",
        ]
        return f"<sip:{account.username}@{account.domain}{transport}>;" + ";".join(options)

    def _recordings(self) -> list[Path]:
        return sorted((self.folder / "sound").glob("*-dec.wav"), key=lambda path: path.stat().st_ctime_ns)

    def _remember(self, call: PhoneCall) -> None:
        self._heard_before[call.number] = set(self._finished)

    def _command(self, name: str, parameter: str) -> str:
        assert self._control is not None, f"{self.name} was not started"
        token = str(next(self._tokens))
        order = json.dumps({"command": name, "params": parameter, "token": token}).encode()
        self._control.sendall(b"%d:%s," % (len(order), order))
        self._wait(f"answer to {name}", lambda: token in self._answers, 5.0)
        return self._answers.pop(token)

    def _read_line(self, line: str) -> None:
        """What no event tells: the codec."""
        if found := re.search(r"Set audio decoder: (\w+) ", line):
            with self.changed:
                for call in reversed(self.calls):
                    if call.state is not CallState.ENDED:
                        call.codec = found[1]
                        break

    def _read_control(self, control: socket.socket) -> None:
        pending = b""
        while True:
            try:
                data = control.recv(65536)
            except OSError:
                return
            if not data:
                return
            pending += data
            while (colon := pending.find(b":")) > 0 and len(pending) > colon + int(pending[:colon]) + 1:
                length = int(pending[:colon])
                frame = pending[colon + 1 : colon + 1 + length]
                pending = pending[colon + 2 + length :]
                with self.changed:
                    self._on_frame(json.loads(frame.decode("utf-8", "replace")))
                    self.changed.notify_all()

    def _on_frame(self, facts: dict[str, Any]) -> None:
        """With the lock held."""
        if facts.get("response"):
            self._answers[facts.get("token", "")] = facts.get("data", "")
            return
        if facts.get("class") not in ("call", "other") or "id" not in facts:
            return
        call = self._call_of(facts)
        kind, parameter = facts["type"], facts.get("param", "")
        if kind == "CALL_CLOSED":
            call.state, call.reason = CallState.ENDED, parameter
            self._finished.update(self._recordings())
            call.status = int(parameter[:3]) if parameter[:3].isdigit() else call.status
        elif kind == "CALL_ESTABLISHED":
            call.state, call.status = CallState.ESTABLISHED, 200
        elif kind in ("CALL_RINGING", "CALL_PROGRESS") and not call.is_incoming:
            call.state, call.status = CallState.RINGING, 180 if kind == "CALL_RINGING" else 183
        elif kind == "CALL_DTMF_START":
            call.digits += parameter
        elif kind == "CALL_MENC":
            call.srtp = "SAVP"

    def _call_of(self, facts: dict[str, Any]) -> PhoneCall:
        """The call of an event, by its Call-ID. The one that we dialled has none before its first event."""
        is_incoming = facts["direction"] == "incoming"
        call = self._find(facts["id"])
        if call is None and not is_incoming:
            call = self._find("")
        if call is None:
            call = self._new_call(facts["id"], is_incoming, facts.get("peeruri", ""))
            self._remember(call)
        call.key = facts["id"]
        return call


def connect(port: int) -> socket.socket | None:
    try:
        control = socket.create_connection(("127.0.0.1", port), 2)
    except ConnectionRefusedError:
        return None
    control.settimeout(None)  # it may be silent for long
    return control
