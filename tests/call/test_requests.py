"""Who may ask for what: authentication, refusals of what is not understood, what phones ask of others."""

from dataclasses import replace

import pytest

from pbx.call.exchange import Settings
from pbx.office.settings import Settings as OfficeSettings
from pbx.sip.flow import Flow
from pbx.sip.message import Response
from tests.call.world import DOMAIN, SERVER, World, hang_up, make_office, talk


def answer_to(phone, method: str) -> Response:
    return [m for m in phone.received if isinstance(m, Response) and m.cseq.method == method][-1]


@pytest.mark.parametrize(("method", "status"), [("PUBLISH", 405), ("BREW", 501)], ids=["405", "501"])
def test_a_method_that_is_not_served(world, ann, method, status):
    ann.send(ann.request(method, f"sip:101@{DOMAIN}"))
    assert ann.statuses(method) == [status]
    assert "INVITE" in ann.last(status).headers.get("Allow")
    world.assert_nothing_left()


def test_an_unknown_extension_that_is_required_is_420(world, ann):
    ann.send(ann.request("INVITE", f"sip:101@{DOMAIN}", ann.sdp(), Require="timer, magic"))
    assert ann.statuses()[-1] == 420
    assert ann.last(420).headers.get("Unsupported") == "magic"
    world.assert_nothing_left()


def test_option_tags_have_no_case(world, ann, bob):
    ann.send(ann.request("INVITE", f"sip:101@{DOMAIN}", ann.sdp(), Require="Timer"))
    assert ann.statuses()[-1] == 401  # RFC 3261 §7.3.1
    world.assert_nothing_left()


def test_a_refer_outside_of_dialogs_is_403(world, ann):
    ann.send(ann.request("REFER", f"sip:101@{DOMAIN}", Refer_To=f"<sip:102@{DOMAIN}>"))
    assert ann.statuses("REFER") == [403]
    world.assert_nothing_left()


def test_another_content_type_is_415(world, ann, bob):
    ann.invite("101", "<xml/>", Content_Type="application/xml")
    assert ann.statuses()[-1] == 415
    assert ann.last(415).headers.get("Accept") == "application/sdp"
    world.assert_nothing_left()


def test_a_body_that_need_not_be_understood_is_passed_over(world, ann, bob):
    """RFC 3261 §8.2.3: the call is one without an offer."""
    optional = "signal;handling=optional"
    ann.invite("101", "isup", Content_Type="application/ISUP", Content_Disposition=optional)
    assert bob.last("INVITE").body == b""
    bob.answer()
    assert b"m=audio" in ann.last(200).body
    ann.ack(ann.sdp())
    hang_up(world, ann, bob)


def test_an_encoded_body_is_415(world, ann):
    ann.send(ann.request("INVITE", f"sip:101@{DOMAIN}", ann.sdp(), Content_Encoding="gzip"))
    assert ann.statuses()[-1] == 415
    assert ann.last(415).headers.get("Accept-Encoding") == "identity"
    world.assert_nothing_left()


@pytest.mark.parametrize(("uri", "status"), [("urn:service:sos", 416), ("sip:101@elsewhere.example", 404)])
def test_an_address_that_is_not_served(world, ann, uri, status):
    ann.send(ann.request("INVITE", uri, ann.sdp()))
    assert ann.statuses()[-1] == status
    world.assert_nothing_left()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "REGISTER", "SUBSCRIBE"])
def test_a_sips_uri_without_tls_is_refused_and_the_sender_told_why(world, method, transport):
    """RFC 5630 §5.1.2; §26.2.2 of RFC 3261: it stands for TLS on every hop."""
    ann = world.phone("100", transport=transport)
    ann.send_authenticated(lambda: ann.request(method, f"sips:101@{DOMAIN}", call_id="by-sips"))
    assert ann.statuses(method)[-1] == 480
    assert ann.last(480).headers.get("Warning") == '380 192.0.2.1:5060 "SIPS Not Allowed"'
    world.assert_nothing_left()


def call_by_sips(world, transport, dialled):
    """The last status that the caller gets."""
    ann = world.phone("100", transport=transport)
    ann.send_authenticated(
        lambda: ann.request("INVITE", f"sips:{dialled}@{DOMAIN}", ann.sdp(), call_id="by-sips")
    )
    return ann.statuses()[-1]


def test_a_sips_uri_over_tls_is_called(world):
    assert call_by_sips(world, "TLS", "199") == 404


def test_a_call_for_help_passes_whatever_its_scheme():
    world = World(replace(make_office("100"), settings=OfficeSettings(emergency=("112",))))
    # The office has no trunk.
    assert call_by_sips(world, "UDP", "112") == 404


@pytest.mark.parametrize("host", ["192.0.2.1", "192.0.2.1:5060", "127.0.0.1", "PBX.local", "localhost:5070"])
def test_every_address_of_the_server_is_the_office(world, ann, bob, host):
    call_id = "call"
    ann.sent_invite = ann.send_authenticated(
        lambda: ann.request("INVITE", f"sip:101@{host}", ann.sdp(), call_id=call_id)
    )
    ann.dialog = {"call_id": call_id}
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_registration_for_somebody_else_is_403(world, ann):
    ann.send_authenticated(
        lambda: ann.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:101@{DOMAIN}>", call_id="theirs")
    )
    assert ann.statuses("REGISTER")[-1] == 403
    assert ann.last(403).headers.get("Warning") is not None
    assert not world.exchange.location.bindings("101", world.now)


def test_the_extension_s_key_is_a_name_of_the_device_too(forked):
    world, ann, phones = forked
    phone = phones[0]
    phone.invite("100", From=f"<sip:101@{DOMAIN}>;tag={phone.tag}")
    ann.answer()
    phone.ack()
    hang_up(world, phone, ann)


@pytest.fixture
def stranger(world):
    """Somebody without a registration, who calls himself what he likes."""
    stranger = world.phone("101")
    move(world, stranger, ("198.51.100.5", 5060))
    stranger.received.clear()
    return stranger


def guess(phone, username: str, number: int) -> Response:
    """One wrong password for `username`."""
    uri = f"sip:{DOMAIN}"
    phone.send(phone.request("REGISTER", uri, call_id=f"guess-{number}"))
    challenge = answer_to(phone, "REGISTER").headers.get("WWW-Authenticate") or ""
    nonce = challenge.partition('nonce="')[2].partition('"')[0]
    phone.send(
        phone.request(
            "REGISTER",
            uri,
            call_id=f"guess-{number}",
            Authorization=f'Digest username="{username}", realm="{DOMAIN}", nonce="{nonce}", uri="{uri}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="x", response="{number:032x}"',
        )
    )
    return answer_to(phone, "REGISTER")


def test_an_unknown_user_and_a_wrong_password_look_the_same(stranger):
    looks = []
    for number, username in enumerate(("nobody", "101")):
        refusal = guess(stranger, username, number)
        challenges = refusal.headers.get_all("WWW-Authenticate")
        plain = [challenge.partition("nonce=")[0] for challenge in challenges]
        looks.append((refusal.status, refusal.reason, [name for name, _ in refusal.headers], plain))
    assert looks[0] == looks[1]
    assert looks[0][0] == 401


def test_too_many_wrong_passwords_are_refused_without_a_look(world, stranger):
    statuses = [guess(stranger, "101", number).status for number in range(15)]
    assert statuses[0] == 401
    assert statuses[-1] == 403
    assert any("refused" in note for note in world.notes)


def test_a_device_for_tls_only_is_refused_over_udp_and_told_why():
    world = World(make_office("100", tls=True))
    phone = world.phone("100", transport="TLS", port=5061)
    phone.flow = Flow("UDP", phone.address, SERVER)
    phone.via = "SIP/2.0/UDP 192.0.2.9:5061"
    phone.invite("100")
    assert phone.statuses()[-1] == 403
    assert "TLS" in phone.last(403).headers.get("Warning")
    world.assert_nothing_left()


def test_a_device_for_tls_only_gets_only_srtp():
    world = World(make_office("100", "101", tls=True))
    ann, bob = (world.phone(name, transport="TLS", port=5061 + n) for n, name in enumerate(("100", "101")))
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
    ann.invite("101")
    assert ann.statuses()[-1] == 488
    ann.invite("101", ann.sdp().replace("RTP/AVP", "RTP/SAVP") + key)
    assert b"RTP/SAVP" in bob.last("INVITE").body
    bob.answer(bob.sdp().replace("RTP/AVP", "RTP/SAVP") + key)
    assert b"RTP/SAVP" in ann.last(200).body
    ann.ack()
    hang_up(world, ann, bob)


# --- inside a dialog --------------------------------------------------------------------------------------


def move(world, phone, address) -> None:
    """From now on the phone speaks from another address."""
    phone.flow = Flow("UDP", address, SERVER)
    phone.via = f"SIP/2.0/UDP {address[0]}:{address[1]}"
    phone.contact = f"<sip:{phone.username}@{address[0]}:{address[1]}>"
    world.phones[address] = phone


def test_a_request_from_another_address_has_to_prove_who_sends_it(world, ann, bob):
    talk(world, ann, bob)
    move(world, ann, ("192.0.2.55", 5060))
    ann.send_authenticated(lambda: ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    bob.bye()
    assert ann.last("BYE")
    ann.ok("BYE")
    world.assert_nothing_left()


def test_a_phone_whose_contact_is_elsewhere_need_not_prove_itself_again(world, ann, bob):
    bob.contact = "<sip:101@192.0.2.44:5060>"
    world.phones["192.0.2.44", 5060] = bob
    bob.register()
    talk(world, ann, bob)
    bob.bye()
    assert bob.statuses("BYE") == [200]
    ann.ok("BYE")
    world.assert_nothing_left()


def test_the_reason_of_a_bye_goes_to_the_other_side(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("BYE", Reason='Q.850;cause=16;text="Terminated"'))
    assert bob.last("BYE").headers.get("Reason") == 'Q.850;cause=16;text="Terminated"'
    bob.ok("BYE")
    world.assert_nothing_left()


def test_somebody_else_cannot_hang_up(world, ann, bob, eve):
    talk(world, ann, bob)
    eve.dialog, eve.tag = ann.dialog, ann.tag
    move(world, eve, ("192.0.2.66", 5060))
    eve.send_authenticated(lambda: eve.in_dialog("BYE", From=f"<sip:102@{DOMAIN}>;tag={ann.tag}"))
    assert eve.statuses("BYE")[-1] in (401, 403)
    assert "BYE" not in bob.summary()
    hang_up(world, ann, bob)


def test_a_request_for_a_dialog_that_is_not_there_is_481(world, ann, bob):
    talk(world, ann, bob)
    gone = dict(ann.dialog)
    hang_up(world, ann, bob)
    ann.dialog = gone
    for method in ("BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE", "PRACK"):
        ann.send(ann.in_dialog(method))
        assert ann.statuses(method)[-1] == 481
    world.assert_nothing_left()


def test_options_in_and_out_of_a_dialog(world, ann, bob):
    ann.send(ann.request("OPTIONS", f"sip:{DOMAIN}"))
    assert "UPDATE" in ann.last(200).headers.get("Allow")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("OPTIONS"))
    assert ann.statuses("OPTIONS") == [200, 200]
    hang_up(world, ann, bob)


def test_a_message_in_a_dialog_goes_to_the_other_side(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("MESSAGE", "hello", Content_Type="text/plain"))
    assert bob.last("MESSAGE").body == b"hello"
    bob.ok("MESSAGE")
    assert ann.statuses("MESSAGE") == [200]
    hang_up(world, ann, bob)


def test_info_that_the_other_side_does_not_take_is_told(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INFO", "x", Content_Type="text/plain"))
    bob.respond(bob.last("INFO"), 415)
    assert ann.statuses("INFO") == [415]
    hang_up(world, ann, bob)


def test_info_that_is_never_answered_is_500(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INFO", "x", Content_Type="text/plain"))
    world.wait(33)
    assert ann.statuses("INFO") == [500]  # a 408 would end its dialog (§12.2.1.2)
    hang_up(world, ann, bob)


def test_a_message_to_an_extension_goes_to_all_its_phones_and_the_first_answer_counts(forked):
    world, ann, phones = forked
    ann.send_authenticated(lambda: ann.request("MESSAGE", f"sip:101@{DOMAIN}", "hello", call_id="msg"))
    phones[0].respond(phones[0].last("MESSAGE"), 415)
    assert ann.statuses("MESSAGE") == []
    phones[1].ok("MESSAGE")
    phones[2].ok("MESSAGE")
    assert ann.statuses("MESSAGE") == [200]
    world.assert_nothing_left()


@pytest.mark.parametrize(("key", "status"), [("999", 404), ("102", 480)])
def test_a_message_that_cannot_be_delivered(world, ann, key, status):
    ann.send_authenticated(lambda: ann.request("MESSAGE", f"sip:{key}@{DOMAIN}", "hello", call_id="msg"))
    assert ann.statuses("MESSAGE")[-1] == status
    world.assert_nothing_left()


# --- who is shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("privacy", ["id", "user;critical", "header;id"])
def test_privacy_of_the_caller_hides_every_trace(world, ann, bob, privacy):
    ann.invite("101", Privacy=privacy)
    invite = bob.last("INVITE")
    assert invite.headers.get("Privacy") == "id"
    assert b"Phone 100" not in invite.render()
    assert b"192.0.2.9" not in invite.render().replace(b"sip:101@192.0.2.9", b"")
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_privacy_none_shows_the_caller(world, ann, bob):
    ann.invite("101", Privacy="none")
    assert bob.last("INVITE").headers.get("P-Asserted-Identity") is not None
    bob.respond(bob.last("INVITE"), 486)
    world.assert_nothing_left()


def test_the_answer_tells_who_answered(world, ann, bob):
    ann.invite("101")
    bob.ring()
    bob.answer()
    for status in (180, 200):
        assert ann.last(status).headers.get("P-Asserted-Identity") == f'"Phone 101" <sip:101@{DOMAIN}>'
    ann.ack()
    hang_up(world, ann, bob)


def test_no_more_calls_than_allowed(ann):
    world = World(make_office("100", "101"), settings=Settings(DOMAIN, max_calls=1))
    one, two = world.phone("100"), world.phone("101")
    one.invite("101")
    two.invite("100")
    assert two.statuses()[-1] == 503
    assert two.last(503).headers.get("Retry-After") is not None
    two.respond(two.last("INVITE"), 486)
    world.assert_nothing_left()


def test_a_server_that_stops_hangs_up_and_takes_no_new_call(world, ann, bob, eve):
    talk(world, ann, bob)
    world.perform(world.exchange.stop(world.now))
    for phone in (ann, bob):
        assert "cause=503" in phone.last("BYE").headers.get("Reason")
        phone.ok("BYE")
    eve.invite("100")
    assert eve.statuses()[-1] == 503
    world.assert_nothing_left()
