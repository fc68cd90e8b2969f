"""Every op, layer, loss and gradient on a GPU that is none: no function that only NumPy has hides in them."""

import pytest

from tests.two_devices import TABLES, forwards, gradients


@pytest.mark.parametrize("table", TABLES)
def test_on_a_gpu_a_line_gives_what_it_gives_at_home(table, gpu):
    assert forwards(table) == []


def test_gradients_are_the_same_on_a_gpu(gpu):
    assert gradients(every=5, twice=False) == []


@pytest.mark.slow
def test_all_gradients_and_their_gradients_are_the_same_on_a_gpu(gpu):
    assert gradients() == []
