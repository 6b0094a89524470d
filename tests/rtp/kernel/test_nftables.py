"""The table of ours, as it is asked for."""

from pbx.rtp.kernel.netlink import attributes, unpack
from pbx.rtp.kernel.nftables import (
    DELETE_TABLE,
    GET_TABLE,
    NEW_CHAIN,
    NEW_RULE,
    NEW_TABLE,
    pack_delete_table,
    pack_list_tables,
    pack_table,
    unpack_table_name,
)

BEGIN, END = 0x10, 0x11


def test_all_is_asked_for_in_one_transaction():
    messages = list(unpack(pack_table("pbx-test", 0x50123400, 0xFFFFFF00)))
    kinds = [message.kind for message in messages]
    assert kinds == [BEGIN, NEW_TABLE, *[NEW_CHAIN] * 6, *[NEW_RULE] * 4, END]
    assert [message.sequence for message in messages] == list(range(13))


def test_the_table_has_an_owner_and_everything_in_it_its_name():
    _, table, *rest, _ = unpack(pack_table("pbx-test", 1, 1))
    assert unpack_table_name(table.body) == "pbx-test"
    assert attributes(table.body)[2] == (2).to_bytes(4, "big")
    assert {attributes(message.body)[1] for message in rest} == {b"pbx-test\0"}


def test_chains_change_nothing_by_themselves():
    chains = [attributes(m.body) for m in unpack(pack_table("t", 1, 1)) if m.kind == NEW_CHAIN]
    hooks = {}
    for chain in chains:
        hook = attributes(chain[4])
        number, priority = (int.from_bytes(hook[kind], "big", signed=True) for kind in (1, 2))
        hooks[chain[3]] = (chain[7], number, priority)
        assert chain[5] == (1).to_bytes(4, "big")  # accept
    assert hooks == {
        b"prerouting\0": (b"nat\0", 0, -100),
        b"output\0": (b"nat\0", 3, -100),
        b"input\0": (b"nat\0", 1, 100),
        b"postrouting\0": (b"nat\0", 4, 100),
        b"leaving\0": (b"filter\0", 4, 300),
        b"arriving\0": (b"filter\0", 1, 300),
    }
    rules = [attributes(m.body)[2] for m in unpack(pack_table("t", 1, 1)) if m.kind == NEW_RULE]
    assert rules == [b"leaving\0"] * 2 + [b"arriving\0"] * 2


def test_keys_are_logged_where_that_is_wanted():
    messages = list(unpack(pack_table("t", 0x50123400, 0xFFFFFF00, 7)))
    chains = [attributes(m.body) for m in messages if m.kind == NEW_CHAIN][6:]
    assert [chain[3] for chain in chains] == [b"keys-far\0", b"keys-near\0"]
    rules = [m.body for m in messages if m.kind == NEW_RULE][4:]
    assert [attributes(rule)[2] for rule in rules] == [b"keys-far\0", b"keys-near\0"]
    assert all(b"log\0" in rule and b"limit\0" in rule for rule in rules)


def test_only_the_one_table_is_removed():
    kinds = [(message.kind, message.sequence) for message in unpack(pack_delete_table("pbx-test"))]
    assert kinds == [(BEGIN, 0), (DELETE_TABLE, 1), (END, 2)]
    assert [message.kind for message in unpack(pack_list_tables())] == [GET_TABLE]
