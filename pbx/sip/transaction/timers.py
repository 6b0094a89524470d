"""How long transactions wait (RFC 3261 §17 and table 4, RFC 6026 §8)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers by their letters, in seconds, derived from T1, T2 and T4.

    D, I, J and K are what unreliable transports need; on reliable ones they are zero, which is the
    machines' business. C belongs to whoever waits for an answer that rings (§16.6 step 11).
    """

    t1: float = 0.5  # an estimate of the round trip
    t2: float = 4.0  # the longest interval between repetitions
    t4: float = 5.0  # how long the network may keep a message
    a: float = field(init=False)  # INVITE client: first repetition, doubled each time
    b: float = field(init=False)  # INVITE client: no response at all
    c: float = 180.0  # proxies and B2BUAs: no final response
    d: float = field(init=False)  # INVITE client: repeated non-2xx responses still to be acknowledged
    e: float = field(init=False)  # non-INVITE client: first repetition, doubled up to T2
    f: float = field(init=False)  # non-INVITE client: no final response
    g: float = field(init=False)  # INVITE server: first repetition of a non-2xx, doubled up to T2
    h: float = field(init=False)  # INVITE server: no ACK
    i: float = field(init=False)  # INVITE server: repeated ACKs still to be absorbed
    j: float = field(init=False)  # non-INVITE server: repeated requests still to be answered
    k: float = field(init=False)  # non-INVITE client: repeated responses still to be absorbed
    l: float = field(init=False)  # noqa: E741  # INVITE server: repeated INVITEs after a 2xx (RFC 6026)
    m: float = field(init=False)  # INVITE client: further 2xx responses (RFC 6026)

    def __post_init__(self) -> None:
        for letter in "aeg":
            object.__setattr__(self, letter, self.t1)
        for letter in "bdfhjlm":
            object.__setattr__(self, letter, 64 * self.t1)
        for letter in "ik":
            object.__setattr__(self, letter, self.t4)
