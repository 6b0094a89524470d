"""A PJSIP phone as a process of its own: commands as JSON lines in, events as JSON lines out.

Run with a JSON object of settings as its only argument. Not imported by the tests.
"""

import json
import os
import select
import sys
import time
from typing import Any

import pjsua2 as pj

POLL_MS = 10
LEAVE_S = 1.5
RATE_HZ = 16000


def report(event: str, **facts: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, "at": time.monotonic(), **facts}) + "\n")
    sys.stdout.flush()


def without_events(sdp: str) -> str:
    """An offer or answer of a phone that knows no RFC 4733."""
    lines = sdp.splitlines()
    found = [line for line in lines if "telephone-event" in line]
    for line in found:
        number = line.partition(":")[2].partition(" ")[0]
        lines = [each for each in lines if not each.startswith((f"a=rtpmap:{number} ", f"a=fmtp:{number} "))]
        lines = [each.replace(f" {number}", "", 1) if each.startswith("m=audio") else each for each in lines]
    return "\r\n".join(lines) + "\r\n"


def header(name: str, value: str) -> Any:
    made = pj.SipHeader()
    made.hName, made.hValue = name, value
    return made


class Wire(pj.LogWriter):
    """The library's log, written through at once, so that a test can look at a message while it waits."""

    def __init__(self, path: str) -> None:
        pj.LogWriter.__init__(self)
        self.file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process

    def write(self, entry: Any) -> None:
        self.file.write(entry.msg)
        self.file.flush()


class AgentCall(pj.Call):
    """One call; its number is ours, because PJSIP reuses its own."""

    def __init__(self, agent: "Agent", account: pj.Account, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        pj.Call.__init__(self, account, call_id)
        self.agent = agent
        self.number = agent.take_number(self)
        self.recorder: Any = None
        self.silence: Any = None
        self.keys: Any = None  # plays them as tones

    def onCallState(self, prm: Any) -> None:  # noqa: N802
        info = self.getInfo()
        report(
            "call",
            call=self.number,
            state=info.stateText,
            status=info.lastStatusCode,
            reason=info.lastReason,
            remote=info.remoteUri,
        )
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.agent.finished.append(self)

    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
        info = self.getInfo()
        for line in info.media:
            if line.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            direction = {0: "inactive", 1: "sendonly", 2: "recvonly", 3: "sendrecv"}[int(line.dir) & 3]
            codec, srtp = "", ""
            if line.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                self._connect(line.index)
                stream = self.getStreamInfo(line.index)
                codec = f"{stream.codecName}"
                srtp = "SAVP" if stream.proto & pj.PJMEDIA_TP_PROFILE_SRTP else "AVP"
            elif line.status == pj.PJSUA_CALL_MEDIA_LOCAL_HOLD:
                self._start_ear()
            report(
                "media",
                call=self.number,
                status=int(line.status),
                direction=direction,
                codec=codec,
                profile=srtp,
            )

    def onCallSdpCreated(self, prm: Any) -> None:  # noqa: N802
        if self.agent.settings.get("keys") == "none":
            prm.sdp.wholeSdp = without_events(prm.sdp.wholeSdp)

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        report("dtmf", call=self.number, digit=prm.digit, method=int(prm.method))

    def onCallTransferStatus(self, prm: Any) -> None:  # noqa: N802
        report(
            "transfer",
            call=self.number,
            status=prm.statusCode,
            reason=prm.reason,
            final=bool(prm.finalNotify),
        )
        if prm.finalNotify and prm.statusCode // 100 == 2:
            self.agent.to_hang_up.append(self)

    def onCallTransferRequest(self, prm: Any) -> None:  # noqa: N802
        report("refer", call=self.number, target=prm.dstUri)
        prm.newCall = AgentCall(self.agent, self.agent.account)

    def onCallReplaceRequest(self, prm: Any) -> None:  # noqa: N802
        report("replace", call=self.number)

    def onCallReplaced(self, prm: Any) -> None:  # noqa: N802
        prm.newCall = AgentCall(self.agent, self.agent.account, prm.newCallId)

    def onInstantMessage(self, prm: Any) -> None:  # noqa: N802
        report("message", text=prm.msgBody, sender=prm.fromUri)

    def _start_ear(self) -> None:
        if self.recorder is None:
            self.recorder = pj.AudioMediaRecorder()
            self.recorder.createRecorder(
                os.path.join(self.agent.settings["folder"], f"heard-{self.number}.wav")
            )
            self.silence = pj.AudioMediaPlayer()
            self.silence.createPlayer(self.agent.settings["silence"])
            self.silence.startTransmit(self.recorder)  # the recording goes on while nothing is heard

    def _connect(self, index: int) -> None:
        self._start_ear()
        media = self.getAudioMedia(index)
        self.agent.microphone.startTransmit(media)
        media.startTransmit(self.recorder)

    def press_aloud(self, digits: str) -> None:
        """Keys as the tones that a telephone without events sends."""
        if self.keys is None:
            self.keys = pj.ToneGenerator()
            self.keys.createToneGenerator(RATE_HZ)
            self.keys.startTransmit(self.getAudioMedia(-1))
        tones = pj.ToneDigitVector()
        for digit in digits:
            tone = pj.ToneDigit()
            tone.digit, tone.on_msec, tone.off_msec = digit, 100, 100
            tones.append(tone)
        self.keys.playDigits(tones)


class AgentAccount(pj.Account):
    def __init__(self, agent: "Agent") -> None:
        pj.Account.__init__(self)
        self.agent = agent

    def onRegState(self, prm: Any) -> None:  # noqa: N802
        self.agent.is_registered = prm.code == 200 and prm.expiration > 0
        report("registration", status=prm.code, reason=prm.reason, expires=prm.expiration, error=prm.status)

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        call = AgentCall(self.agent, self, prm.callId)
        report("incoming", call=call.number, remote=call.getInfo().remoteUri)
        mode = self.agent.mode
        if mode["status"] >= 180 and mode["after_s"] > 0:
            self.agent.answer(call, 180)
            self.agent.later.append((time.monotonic() + mode["after_s"], call, mode["status"]))
        else:
            if mode["status"] >= 200 and mode["status"] < 300:
                self.agent.answer(call, 180)
            self.agent.answer(call, mode["status"], mode["contact"])

    def onInstantMessage(self, prm: Any) -> None:  # noqa: N802
        report("message", text=prm.msgBody, sender=prm.fromUri)

    def onMwiInfo(self, prm: Any) -> None:  # noqa: N802
        report("mwi", text=prm.rdata.wholeMsg)


class Agent:
    """The phone: an endpoint, a transport, an account, and the calls."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.calls: list[AgentCall] = []
        self.finished: list[AgentCall] = []
        self.to_hang_up: list[AgentCall] = []
        self.later: list[tuple[float, AgentCall, int]] = []
        self.mode: dict[str, Any] = {"status": 200, "after_s": 0.0, "contact": ""}
        self.endpoint = pj.Endpoint()
        self.running = True
        self.leaving = 0.0
        self.is_registered = False
        self._start_library()
        self.account = AgentAccount(self)
        self.account.create(self._account_config())
        report("ready")

    def take_number(self, call: AgentCall) -> int:
        self.calls.append(call)
        return len(self.calls) - 1

    def _start_library(self) -> None:
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 8
        config.uaConfig.userAgent = f"pjsua {self.settings['name']}"
        config.medConfig.clockRate = config.medConfig.sndClockRate = RATE_HZ
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        config.logConfig.level = 4
        config.logConfig.consoleLevel = 4  # what the writer gets
        config.logConfig.msgLogging = 1
        self.wire = Wire(os.path.join(self.settings["folder"], "wire.log"))
        config.logConfig.writer = self.wire
        self.endpoint.libCreate()
        self.endpoint.libInit(config)
        kind = {
            "udp": pj.PJSIP_TRANSPORT_UDP,
            "tcp": pj.PJSIP_TRANSPORT_TCP,
            "tls": pj.PJSIP_TRANSPORT_TLS,
        }[self.settings["transport"]]
        transport = pj.TransportConfig()
        transport.port = self.settings["port"]
        transport.boundAddress = self.settings["host"]
        if self.settings["transport"] == "tls":
            transport.tlsConfig.verifyServer = False
            transport.tlsConfig.verifyClient = False
            if self.settings.get("certificate"):
                transport.tlsConfig.certFile = self.settings["certificate"]
                transport.tlsConfig.privKeyFile = self.settings["private_key"]
        self.transport_id = self.endpoint.transportCreate(kind, transport)
        self.endpoint.audDevManager().setNullDev()
        self.endpoint.libStart()
        for codec in self.endpoint.codecEnum2():
            name = codec.codecId.split("/")[0]
            wanted = self.settings["codecs"]
            self.endpoint.codecSetPriority(codec.codecId, 250 - wanted.index(name) if name in wanted else 0)
        self.microphone = pj.AudioMediaPlayer()
        self.microphone.createPlayer(self.settings["microphone"])

    def _account_config(self) -> pj.AccountConfig:
        config = pj.AccountConfig()
        user, host = self.settings["username"], self.settings["host"]
        if self.settings["registrar"]:
            config.idUri = f"sip:{user}@{self.settings['domain']}"
            suffix = "" if self.settings["transport"] == "udp" else f";transport={self.settings['transport']}"
            route = f"sip:{self.settings['server']}{suffix};lr"
            config.regConfig.registrarUri = f"sip:{self.settings['domain']}{suffix}"
            config.regConfig.timeoutSec = self.settings.get("expires", 300)
            config.regConfig.retryIntervalSec = self.settings.get("retry", 0)
            config.regConfig.unregWaitMsec = 1000
            config.regConfig.registerOnAdd = self.settings.get("register", True)
            config.sipConfig.proxies.append(route)
            config.sipConfig.authCreds.append(
                pj.AuthCredInfo("digest", "*", user, 0, self.settings["password"])
            )
        else:
            config.idUri = f"sip:{user}@{host}"
        config.mwiConfig.enabled = bool(self.settings.get("mwi"))
        config.sipConfig.transportId = self.transport_id
        media = config.mediaConfig
        media.transportConfig.port = self.settings["rtp_port"]
        media.transportConfig.portRange = 20
        media.transportConfig.boundAddress = host
        media.srtpUse = {
            "off": pj.PJMEDIA_SRTP_DISABLED,
            "optional": pj.PJMEDIA_SRTP_OPTIONAL,
            "required": pj.PJMEDIA_SRTP_MANDATORY,
        }[self.settings["srtp"]]
        media.srtpSecureSignaling = 0
        for name in self.settings.get("suites", []):
            suite = pj.SrtpCrypto()
            suite.name = name
            media.srtpOpt.cryptos.append(suite)
        media.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
        config.natConfig.iceEnabled = False
        config.natConfig.sipOutboundUse = int(self.settings.get("outbound", 1))
        config.callConfig.prackUse = {
            "off": pj.PJSUA_100REL_NOT_USED,
            "optional": pj.PJSUA_100REL_OPTIONAL,
            "required": pj.PJSUA_100REL_MANDATORY,
        }[self.settings.get("prack", "off")]
        return config

    def run(self) -> None:
        pending = b""
        while self.running and not self._has_left():
            self.endpoint.libHandleEvents(POLL_MS)
            self._do_late_things()
            if select.select([0], [], [], 0)[0]:
                data = os.read(0, 65536)
                if not data:
                    break
                pending += data
                *lines, pending = pending.split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
        report("gone")

    def answer(self, call: AgentCall, status: int, contact: str = "") -> None:
        prm = pj.CallOpParam(True)
        prm.statusCode = status
        if contact:
            prm.txOption.headers.append(header("Contact", f"<{contact}>"))
        call.answer(prm)

    def _do_late_things(self) -> None:
        now = time.monotonic()
        for due in [entry for entry in self.later if entry[0] <= now]:
            self.later.remove(due)
            _, call, status = due
            if call not in self.finished and call.isActive():
                self.answer(call, status)
        for call in self.to_hang_up:
            if call not in self.finished and call.isActive():
                call.hangup(pj.CallOpParam())
        self.to_hang_up.clear()

    def _obey(self, order: dict[str, Any]) -> None:
        try:
            getattr(self, f"do_{order.pop('do')}")(**order)
        except pj.Error as error:
            report("error", text=error.info().replace("\n", " "), order=order)

    def do_call(
        self, uri: str, headers: dict[str, str] | None = None, offer: bool = True, caller: str = ""
    ) -> None:
        call = AgentCall(self, self.account)
        report("dialled", call=call.number)
        prm = pj.CallOpParam(True)
        if not offer:
            prm.opt.flag |= pj.PJSUA_CALL_NO_SDP_OFFER
        for name, value in (headers or {}).items():
            prm.txOption.headers.append(header(name, value))
        prm.txOption.localUri = caller  # in From, in place of the account's
        call.makeCall(uri, prm)

    def do_mode(self, status: int, after_s: float, contact: str) -> None:
        self.mode = {"status": status, "after_s": after_s, "contact": contact}
        report("mode")

    def do_answer(self, call: int, status: int) -> None:
        self.answer(self.calls[call], status)

    def do_hangup(self, call: int, status: int = 0) -> None:
        prm = pj.CallOpParam()
        prm.statusCode = status
        if self.calls[call] not in self.finished:
            self.calls[call].hangup(prm)

    def do_hold(self, call: int) -> None:
        self.calls[call].setHold(pj.CallOpParam(True))

    def do_resume(self, call: int) -> None:
        prm = pj.CallOpParam(True)
        prm.opt.flag |= pj.PJSUA_CALL_UNHOLD
        self.calls[call].reinvite(prm)

    def do_reinvite(self, call: int, offer: bool = True) -> None:
        prm = pj.CallOpParam(True)
        if not offer:
            prm.opt.flag |= pj.PJSUA_CALL_NO_SDP_OFFER
        self.calls[call].reinvite(prm)

    def do_update(self, call: int) -> None:
        self.calls[call].update(pj.CallOpParam(True))

    def do_transfer(self, call: int, uri: str) -> None:
        self.calls[call].xfer(uri, pj.CallOpParam(True))

    def do_transfer_attended(self, call: int, consulted: int) -> None:
        self.calls[call].xferReplaces(self.calls[consulted], pj.CallOpParam(True))

    def do_dtmf(self, call: int, digits: str, method: str = "rfc4733") -> None:
        if method == "tones":
            self.calls[call].press_aloud(digits)
            return
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        prm.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if method == "info" else pj.PJSUA_DTMF_METHOD_RFC2833
        prm.duration = 120
        self.calls[call].sendDtmf(prm)

    def do_register(self) -> None:
        self.account.setRegistration(True)

    def do_unregister(self) -> None:
        self.account.setRegistration(False)

    def do_message(self, call: int, text: str) -> None:
        prm = pj.SendInstantMessageParam()
        prm.content = text
        self.calls[call].sendInstantMessage(prm)

    def do_quit(self) -> None:
        """End all calls, unregister, and leave as soon as that is answered."""
        self.leaving = time.monotonic() + LEAVE_S
        self.endpoint.hangupAllCalls()
        if self.is_registered:
            self.account.setRegistration(False)

    def _has_left(self) -> bool:
        if not self.leaving:
            return False
        is_quiet = len(self.finished) == len(self.calls) and not self.is_registered
        return is_quiet or time.monotonic() > self.leaving


if __name__ == "__main__":
    Agent(json.loads(sys.argv[1])).run()
    os._exit(0)  # the library's own farewell takes a second of sleep
