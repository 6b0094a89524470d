"""An empty database of each kind."""

import pytest

from pbx.store.store import open_store
from tests.support.postgres import postgres

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """Of a database that nobody has opened yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'pbx.db'}"
    return request.getfixturevalue("postgres").make_database()


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()
