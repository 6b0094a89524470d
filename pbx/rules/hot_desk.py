"""Whose phone a phone is: its extension's, or that of the member who is logged in there (product §4)."""

from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.rules.facts import Caller, World


def login_at(
    office: Office, world: World, extension: Extension, username: str
) -> tuple[str, Extension] | None:
    """The member who is logged in at a phone of `extension`, and the extension that the phone is now.

    A login counts only while the phone's extension has hot desking on and the member has an extension.
    """
    if not extension.hot_desking:
        return None
    member = world.member_at(username)
    acting = office.extension_of(member) if member else None
    return (member, acting) if acting is not None else None


def caller_of(office: Office, world: World, extension: Extension, device: Device) -> Caller:
    """Who calls from a phone."""
    login = login_at(office, world, extension, device.username)
    if login is None:
        return Caller(extension.key, device.username, name=extension.label)
    member, acting = login
    return Caller(acting.key, device.username, name=acting.label, member=member)


def is_logged_out(office: Office, caller: Caller) -> bool:
    """Whether the caller's phone is a hot desk where nobody is logged in, nor has given his PIN."""
    found = office.device(caller.device) if caller.device else None
    return found is not None and found[0].hot_desking and not caller.member


def phones_of(office: Office, world: World, extension: Extension) -> tuple[str, ...]:
    """The phones that an extension's calls ring, registered or not, by their SIP user names.

    Its own with a ring tick, but those where another's member is logged in; unless it is nobody's extension:
    then no other calls come there, and who calls the desk back finds it. And the hot-desk phones where its
    member is logged in.
    """
    names = [device.username for device in extension.devices if device.ring]
    if extension.hot_desking and extension.assignee:
        logins = [(name, login_at(office, world, extension, name)) for name in names]
        names = [name for name, login in logins if login is None or login[1] is extension]
    if extension.assignee and office.extension_of(extension.assignee) is extension:
        for username in world.phones_of(extension.assignee):
            found = office.device(username)
            if found is not None and found[0].hot_desking and username not in names:
                names.append(username)
    return tuple(names)


def phones_that_ring(
    office: Office, world: World, extension: Extension, caller: Caller | None = None
) -> tuple[str, ...]:
    """Of `phones_of` those that are registered, but the one that calls."""
    return tuple(
        [
            name
            for name in phones_of(office, world, extension)
            if world.is_registered(name) and (caller is None or name != caller.device)
        ]
    )
