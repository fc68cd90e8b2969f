"""The tests of lessons are about what lessons say: plain bodies, and no kernels in front of them."""

import os

import pytest


@pytest.fixture(scope="module", autouse=True)
def plain_bodies():
    """As under `tito`, which asks for it: no kernels, but those that a test enters itself."""
    if os.environ.get("TINYTORCH_KERNELS") == "numpy":
        yield
        return
    from tinytorch.backends import use_kernels
    with use_kernels("numpy"): yield
