"""What the kernel has, in the network namespace of whoever asks."""

from pbx.rtp.kernel.conntrack import GET, Entry, pack_dump, unpack_entry
from pbx.rtp.kernel.link import Link
from pbx.rtp.kernel.nftables import NEW_TABLE, pack_list_tables, unpack_table_name


def entries(value: int = 0, mask: int = 0) -> list[Entry]:
    """Those whose mark is `value` in the bits of `mask`."""
    link = Link()
    answers = link.ask(pack_dump(1, value, mask))
    link.close()
    return [unpack_entry(each.body) for each in answers if each.kind >> 8 == GET >> 8]


def tables() -> list[str]:
    """The names of all tables of nf_tables."""
    link = Link()
    answers = link.ask(pack_list_tables())
    link.close()
    return [unpack_table_name(each.body) for each in answers if each.kind >> 8 == NEW_TABLE >> 8]
