"""The data folder, where it cannot be had."""

import pytest

from pbx.app.folder import take_folder
from pbx.errors import ConfigError
from tests.support.full_disk import full_disk


def test_on_a_full_disk_it_is_one_line_and_the_next_may_have_it(tmp_path):
    with full_disk(), pytest.raises(ConfigError, match=r"server.data = .*cannot be written: "):
        take_folder(tmp_path)
    take_folder(tmp_path).close()
