"""What a change of the office does to phones that are registered, and who may withhold his name."""

from dataclasses import replace

from pbx.sip.digest import make_ha1
from tests.call.world import DOMAIN, World, make_office


def changed(world, key, **changes):
    """The office with the device of `key` changed."""
    extensions = tuple(
        replace(each, devices=(replace(each.devices[0], **changes),)) if each.key == key else each
        for each in world.exchange.office.extensions
    )
    return replace(world.exchange.office, extensions=extensions)


def test_a_phone_with_an_old_password_is_rung_no_more(world, ann, bob):
    ha1 = make_ha1("101", DOMAIN, "another password")
    office = changed(world, "101", ha1_md5=ha1.md5, ha1_sha256=ha1.sha256)
    world.perform(world.exchange.swap_office(office, world.now))
    ann.invite("101")
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()


def test_another_change_leaves_it_registered(world, ann, bob):
    world.perform(world.exchange.swap_office(changed(world, "101", mac="00:15:65:aa:bb:cc"), world.now))
    ann.invite("101")
    bob.respond(bob.last("INVITE"), 486)
    assert ann.statuses()[-1] == 486
    world.assert_nothing_left()


def test_a_phone_that_withholds_its_name_is_known_by_its_credentials(world, ann, bob):
    ann.invite("101", From=f'"Anonymous" <sip:anonymous@anonymous.invalid>;tag={ann.tag}')
    invite = bob.last("INVITE")
    assert invite.headers.get("From").startswith('"Anonymous" <sip:anonymous@anonymous.invalid>')
    assert invite.headers.get("P-Asserted-Identity") is None
    bob.respond(invite, 486)
    world.assert_nothing_left()


def test_a_request_for_the_domain_with_a_final_dot_is_ours():
    world = World(make_office("100"))
    assert world.exchange.is_ours("PBX.local.")
    assert not world.exchange.is_ours("pbx.example")


def test_options_keep_no_transaction(world, ann):
    before = len(world.exchange.stack.layer)
    ann.send(ann.request("OPTIONS", "sip:pbx.local"))
    assert ann.statuses("OPTIONS") == [200]
    assert len(world.exchange.stack.layer) == before


def test_a_connection_that_is_gone_is_480_for_the_caller(world, ann):
    bob = world.phone("101", transport="TCP")
    ann.invite("101")
    world.perform(world.exchange.flow_lost(bob.flow, "reset", world.now))
    world.wait(40)
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()
