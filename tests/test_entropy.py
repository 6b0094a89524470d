"""Chance, handed in."""

import re

from pbx.entropy import POOL_BYTES, SystemEntropy


def test_tokens_are_words_of_16_digits_and_all_different_beyond_one_pool():
    entropy = SystemEntropy()
    tokens = [entropy.token() for _ in range(POOL_BYTES)]
    assert all(re.fullmatch("[0-9a-f]{16}", token) for token in tokens)
    assert len(set(tokens)) == len(tokens)
