"""The dialogs that the INVITE of one leg opens: early ones, one for each fork, and the confirmed one."""

from pbx.sip.dialog import Dialog
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.stack import SipStack
from pbx.sip.stack_user import DialogUser
from pbx.sip.uac import MOST_FORKS, InviteUac


class LegDialogs:
    """Known to the stack as the leg's, which is handed in each time (RFC 3261 §12.1, §13.2.2.4)."""

    __slots__ = ("_all", "_early", "_stack")

    def __init__(self, stack: SipStack) -> None:
        self._stack = stack
        self._all: list[Dialog] = []
        self._early: dict[str, Dialog] = {}  # a B-leg's, by remote tag

    def register(self, dialog: Dialog, leg: DialogUser) -> None:
        """Requests inside it are the leg's."""
        self._all.append(dialog)
        self._stack.dialogs[dialog.id] = leg

    def of(self, request: Request) -> Dialog | None:
        """The dialog that a request is in, of those by which the stack knows the leg."""
        if len(self._all) == 1:
            return self._all[0]
        return next((each for each in self._all if each.id.remote_tag == request.from_.tag), None)

    def early(self, response: Response, uac: InviteUac, leg: DialogUser) -> tuple[Dialog | None, bool]:
        """The dialog of a provisional response, and whether that opens it; None: it has none."""
        tag = response.to.tag
        if not tag:
            return None, False
        dialog = self._early.get(tag)
        if dialog is not None:
            if response.contacts:
                dialog.refresh_target(response)
            return dialog, False
        if len(self._early) >= MOST_FORKS:
            return None, False
        dialog = uac.make_dialog(response)
        if self._early:  # each counts for itself; it may begin anywhere (§12.2.1.1)
            dialog.local_seq = max(d.local_seq for d in self._early.values())
        self._early[tag] = dialog
        self.register(dialog, leg)
        return dialog, True

    def confirm(self, response: Response, uac: InviteUac, leg: DialogUser) -> Dialog:
        """The dialog of the 2xx; the others are over."""
        dialog = self._early.pop(response.to.tag or "", None)
        self.forget_early()
        if dialog is not None:
            dialog.confirm(response, uac.request)
        else:
            dialog = uac.make_dialog(response)
            self.register(dialog, leg)
        return dialog

    def move(self, flow: Flow, behind_nat: bool) -> None:
        """The peer is reached by another way from now on."""
        for dialog in self._all:
            dialog.move(flow, behind_nat)

    def cut(self) -> None:
        """The connection to the peer is gone."""
        for dialog in self._all:
            dialog.is_cut = True

    def forget_early(self) -> None:
        """The early dialogs are over."""
        for dialog in self._early.values():
            self._stack.dialogs.pop(dialog.id, None)
            self._all.remove(dialog)
        self._early.clear()

    def clear(self) -> None:
        """All are over."""
        for dialog in self._all:
            self._stack.dialogs.pop(dialog.id, None)
        self._all.clear()
        self._early.clear()
