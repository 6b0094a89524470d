"""What is played at one endpoint, and which of it is still to be answered, whatever becomes of the worker."""

from pbx.media.orders import Play, Played


class Plays:
    """The Play orders of one endpoint: each is answered by one Played, from a worker or in its place.

    Attributes:
        current: what goes on, and is told to a worker that knows nothing.
    """

    __slots__ = ("_unanswered", "current")

    def __init__(self) -> None:
        self.current: Play | None = None
        self._unanswered: list[Play] = []

    def begin(self, order: Play) -> None:
        """It ends the one before."""
        self.current = order
        self._unanswered.append(order)

    def stop(self) -> None:
        """It is not to be begun again; its answer is to come."""
        self.current = None

    def lose(self, why: str, *, keeps: bool = False) -> list[Played]:
        """The answers that no worker will give; `keeps`: but for what goes on with the next one."""
        if not self._unanswered:
            return []
        kept = self.current if keeps else None
        lost = [play for play in self._unanswered if play is not kept]
        self.current = kept
        self._unanswered = [] if kept is None else [kept]
        return [Played(play.endpoint, play.play, why) for play in lost]

    def answer(self, event: Played, *, is_moving: bool) -> bool:
        """A worker says that one is over; True: that is news.

        Args:
            is_moving: the endpoint is closed there to be opened elsewhere, and what goes on is played again.
        """
        found = next((play for play in self._unanswered if play.play == event.play), None)
        if found is None or (found is self.current and is_moving and event.why == "closed"):
            return False
        self._unanswered.remove(found)
        if self.current not in self._unanswered:
            self.current = None
        return True
