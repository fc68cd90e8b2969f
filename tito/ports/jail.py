"""The first program in a sandbox: gives up what is left to give up, and becomes the worker.

    python jail.py LIMITS worker.py        LIMITS is JSON: user, processes, file, cpu, open
"""

import json
import os
import resource
import runpy
import sys


def lower(kind: int, most: int) -> None:
    """A limit that cannot be raised again."""
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def main() -> None:
    limits, worker = json.loads(sys.argv[1]), sys.argv[2]
    if limits["user"]:
        os.setgroups([])
        os.setresgid(limits["user"], limits["user"], limits["user"])
        os.setresuid(limits["user"], limits["user"], limits["user"])
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, limits["file"])
    lower(resource.RLIMIT_CPU, limits["cpu"])
    lower(resource.RLIMIT_NOFILE, limits["open"])
    if limits["processes"]: lower(resource.RLIMIT_NPROC, limits["processes"])
    os.umask(0o077)
    sys.argv = [worker, *(["--alone"] if limits["processes"] else [])]
    runpy.run_path(worker, run_name="__main__")


main()
