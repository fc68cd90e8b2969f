"""Whether freed memory is kept, counted by the system itself."""

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import numpy as np, resource, tinytorch
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def several(): return [np.ones(1 << 18) for _ in range(8)]      # 2 MB each
several()
before = faults()
for _ in range(20): several()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be asked")
def test_memory_that_was_used_before_is_used_again():
    def pages(setting):
        environment = {**os.environ, "TINYTORCH_KEEP_PAGES": setting}
        return int(subprocess.check_output([sys.executable, "-c", COUNT], env=environment))
    assert pages("1") < 1000 < pages("0"), "20 times 16 MB are 80,000 pages, and the first 4,000 serve all"


def test_other_systems_are_not_asked(monkeypatch):
    from tinytorch import pages
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(pages.ctypes, "CDLL", None)
    assert pages.keep_pages() is False
