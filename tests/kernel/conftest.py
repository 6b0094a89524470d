"""Tests that need the kernel, and the right to ask it: each in network namespaces of its own."""

from collections.abc import Callable, Iterator

import pytest

from tests.kernel.namespaces import Namespace, make_namespace
from tests.kernel.office import Office


@pytest.fixture
def namespaces() -> Iterator[Callable[[], Namespace]]:
    """Makes namespaces."""
    made: list[Namespace] = []

    def make() -> Namespace:
        made.append(make_namespace())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def office(namespaces) -> Iterator[Office]:
    """The PBX's machine between two others, with a phone each."""
    made = Office(namespaces)
    yield made
    made.close()
