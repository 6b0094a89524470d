"""Which media lines belong together: of two legs, or of a session and a new description."""

from collections.abc import Sequence

Key = tuple[str, int]  # kind and ordinal: audio 0, audio 1, video 0 ...


def pair(left: Sequence[Key], right: Sequence[Key]) -> list[int | None]:
    """For each of `left` its fellow's index in `right`: of the same key, else the next free of the kind."""
    if left == right:
        return list(range(len(left)))
    by_key = {key: index for index, key in enumerate(right)}
    found = [by_key.get(key) for key in left]
    taken = set(found)
    for place, (kind, _) in enumerate(left):
        if found[place] is None:
            free = (i for i, key in enumerate(right) if i not in taken and key[0] == kind)
            found[place] = next(free, None)
            taken.add(found[place])
    return found
