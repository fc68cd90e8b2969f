"""Where a submission runs: in bubblewrap, with a system to read, a /tmp of its own, and nothing else.

Started by root, the sandbox gives its rights up for a user that exists nowhere else; started by anybody else
it is a user namespace. There is no network, no other process, and of the course only the lessons before.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tito.core.errors import EnvironmentProblem
from tito.core.plan import Plan, Run
from tito.ports.runner import SET, WORKER, Heard, Processes, Said, alone, nobody

HERE = Path(__file__).parent
JAIL, WITNESS = HERE / "jail.py", HERE / "witness.py"
STAGE, TOOLS, DATA, PYTHON, PACKAGES = "/stage", "/grade", "/datasets", "/python", "/packages"
FIRST_USER, USERS = 2_000_000, 50_000       # users that no system gives to anybody
TURNS = 8               # users of a worker: what is left of one sandbox must not count against the next
KEPT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")        # needed on some processors
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True)
class Bounds:
    """What a sandbox as a whole may use."""

    memory: int = 1 << 30               # bytes that all its processes keep in memory
    disk: int = 128 << 20               # bytes of its /tmp, which is memory, too
    file: int = 64 << 20                # bytes of one file
    processes: int = 48                 # threads count
    cpu: int = 120                      # seconds
    open: int = 256                     # files


class Unsafe(Processes):
    """No sandbox, only limits: what a submission does, it does as you. It knows where the worker lies."""

    def __init__(self, bounds: Bounds | None = None): self.bounds = bounds or Bounds()

    def run(self, plan: Plan, heard: Heard = nobody, said: Said = nobody) -> Run:
        with tempfile.TemporaryDirectory(prefix="tito-unsafe-", ignore_cleanup_errors=True) as self.folder:
            return super().run(plan, heard, said)

    def start(self, plan: Plan) -> subprocess.Popen[bytes]:
        folder, limits = self.folder, self.limits(user=0, processes=0)
        surroundings = {**surroundings_of(plan), "HOME": folder, "TMPDIR": folder, **plan.environment}
        return subprocess.Popen(
            [python(), "-S", "-P", str(JAIL), limits, str(WORKER)], cwd=folder, env=surroundings,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **alone())

    def told(self, plan: Plan) -> Plan:
        return replace(plan, asserts=str(WITNESS))

    def limits(self, user: int, processes: int) -> str:
        bounds = self.bounds
        return json.dumps({"user": user, "processes": processes, "file": bounds.file, "cpu": bounds.cpu,
                           "open": bounds.open})

    def greedy(self, process: subprocess.Popen[bytes]) -> str:
        taken = sum(resident(number) for number in family(process.pid))
        most = self.bounds.memory
        return "" if taken <= most else f"its processes keep more than {most >> 20} MiB"


class Bubblewrap(Unsafe):
    """The sandbox; `works` says whether there can be one here."""

    run = Processes.run             # its /tmp is inside

    def __init__(self, bounds: Bounds | None = None, program: str | None = None):
        super().__init__(bounds)
        self.program = program or shutil.which("bwrap") or ""
        self.filter, self.turn = compiled_filter(), 0

    def start(self, plan: Plan) -> subprocess.Popen[bytes]:
        root = os.geteuid() == 0
        self.turn = (self.turn + 1) % TURNS
        user = FIRST_USER + os.getpid() % USERS * TURNS + self.turn if root else 0
        with rules(self.filter) as number:
            command = [self.program, *self.walls(plan, root), *(["--seccomp", str(number)] if number else []),
                       "--",
                       inner_python(), "-S", "-P", f"{TOOLS}/jail.py",
                       self.limits(user, self.bounds.processes),
                       f"{TOOLS}/worker.py"]
            return subprocess.Popen(
                command, cwd="/", env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[number] if number else [], **alone())

    def told(self, plan: Plan) -> Plan:
        inside = {"TINYTORCH_SHIPPED": DATA} if "TINYTORCH_SHIPPED" in plan.environment else {}
        return replace(plan, asserts=f"{TOOLS}/witness.py", stage=STAGE, folder="/tmp", reference="",
                       environment={**plan.environment, **inside})

    def walls(self, plan: Plan, root: bool) -> list[str]:
        """What bubblewrap is told: what is there, and what is not."""
        spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        rights = ["--cap-drop", "ALL", *(["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root
                                         else [])]
        user = [] if root else ["--unshare-user", "--uid", "65534", "--gid", "65534"]
        disk = str(self.bounds.disk)
        binds = [word for source, place in self.seen(plan) for word in ("--ro-bind", source, place)]
        return [
            *spaces, *user, *rights, "--die-with-parent", "--new-session", "--hostname", "grader",
            "--clearenv",
            *(word for pair in self.variables(plan).items() for word in ("--setenv", *pair)),
            *system(), "--perms", "0755", "--dir", TOOLS, *binds, *hidden(),
            "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", disk, "--tmpfs", "/dev/shm",
            "--perms", "1777", "--size", disk, "--tmpfs", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/",
            "--chdir", "/tmp",
        ]

    def seen(self, plan: Plan) -> Iterator[tuple[str, str]]:
        """Folders and files of ours that are shown, read-only."""
        if not of_the_system(sys.base_prefix): yield sys.base_prefix, PYTHON
        yield packages(), PACKAGES
        yield from ((str(file), f"{TOOLS}/{file.name}") for file in (JAIL, WORKER, WITNESS))
        yield plan.stage, STAGE
        if data := plan.environment.get("TINYTORCH_SHIPPED"): yield data, DATA

    def variables(self, plan: Plan) -> dict[str, str]:
        places = {"HOME": "/tmp", "TMPDIR": "/tmp", "PYTHONPATH": PACKAGES,
                  "LD_LIBRARY_PATH": f"{PYTHON}/lib"}
        return {**surroundings_of(plan), **places, **self.told(plan).environment}


def surroundings_of(plan: Plan) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**SET, **ONE_THREAD, **kept, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": packages(),
            "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"}


def python() -> str: return str(Path(sys.executable).resolve())      # not through the link of a venv


def of_the_system(path: str) -> bool: return Path(path).is_relative_to("/usr")


def inner_python() -> str:
    """The same Python, where it lies in the sandbox."""
    outer = Path(python())
    if of_the_system(str(outer)): return str(outer)
    return f"{PYTHON}/{outer.relative_to(Path(sys.base_prefix).resolve())}"


def packages() -> str:
    """The folder in which NumPy lies."""
    found = importlib.util.find_spec("numpy")
    if not found or not found.origin: raise EnvironmentProblem("NumPy is not installed.", "pip install numpy")
    return str(Path(found.origin).resolve().parents[1])


def system() -> Iterator[str]:
    """The system's programs and libraries, and of /etc only what finds them."""
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(name)
        if path.is_symlink(): yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir(): yield from ("--ro-bind", name, name)
    for name in ("/etc/ld.so.cache", "/etc/alternatives"): yield from ("--ro-bind-try", name, name)


def hidden() -> Iterator[str]:
    """Where the course is installed beside NumPy, the sandbox sees empty folders: they hold solutions."""
    folder, base = Path(packages()), Path(sys.base_prefix).resolve()
    places = [PACKAGES]
    if of_the_system(str(folder)): places.append(str(folder))
    elif folder.is_relative_to(base): places.append(f"{PYTHON}/{folder.relative_to(base)}")
    for name in ("tinytorch", "tito"):
        if (folder / name).is_dir(): yield from (w for p in places for w in ("--tmpfs", f"{p}/{name}"))


def works(program: str | None = None) -> str:
    """Why there is no sandbox on this machine; "" where there is one."""
    program = program or shutil.which("bwrap")
    if not program: return "bubblewrap is not installed (`apt install bubblewrap`)"
    trial = [program, "--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "--proc", "/proc", "--",
             "true"]
    try:
        done = subprocess.run(trial, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"bubblewrap does not start: {problem}"
    return "" if done.returncode == 0 else f"bubblewrap does not work here: {done.stderr.strip()}"


# ---------------------------------------------------------------------------------------- what it may not ask

# System calls that no lesson needs, and that have broken out of sandboxes before.
FORBIDDEN = (
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "add_key", "request_key", "keyctl", "bpf",
    "perf_event_open", "userfaultfd", "mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen",
    "fsmount", "mount_setattr", "unshare", "setns", "init_module", "finit_module", "delete_module",
    "kexec_load", "kexec_file_load", "io_uring_setup", "io_uring_enter", "io_uring_register", "acct",
    "swapon", "swapoff", "reboot", "quotactl", "name_to_handle_at", "open_by_handle_at", "chroot", "syslog",
)
ALLOW, REFUSE, NEW_USER = 0x7FFF0000, 0x00050000 | 1, 0x10000000      # of libseccomp and clone(2)


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp: argument & mask == value."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("mask", ctypes.c_uint64),
                ("value", ctypes.c_uint64)]


def compiled_filter() -> bytes:
    """The rules as the kernel's byte code; b"" where libseccomp is not there."""
    name = ctypes.util.find_library("seccomp") if sys.platform == "linux" else None
    if not name: return b""
    library = ctypes.CDLL(name)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                               ctypes.POINTER(Comparison)]
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))
    try:
        for call in FORBIDDEN:
            number = library.seccomp_syscall_resolve_name(call.encode())
            if number == -1: continue       # this libseccomp does not know it
            library.seccomp_rule_add_array(context, REFUSE, number, 0, None)
        clone = library.seccomp_syscall_resolve_name(b"clone")
        masked = Comparison(0, 7, NEW_USER, NEW_USER)       # SCMP_CMP_MASKED_EQ
        library.seccomp_rule_add_array(context, REFUSE, clone, 1, ctypes.byref(masked))
        with tempfile.TemporaryFile() as file:
            if library.seccomp_export_bpf(context, file.fileno()) != 0: return b""
            file.seek(0)
            return file.read()
    finally:
        library.seccomp_release(context)


class rules:
    """A pipe from which bubblewrap reads the filter, while this lasts; 0 where there is none."""

    def __init__(self, filter: bytes): self.filter, self.end = filter, 0

    def __enter__(self) -> int:
        if self.filter:
            self.end, write = os.pipe()
            os.write(write, self.filter)        # smaller than a pipe
            os.close(write)
        return self.end

    def __exit__(self, *problem: object) -> None:
        if self.end: os.close(self.end)


# --------------------------------------------------------------------------------------- looking from outside

def family(pid: int) -> Iterator[int]:
    """A process and its children, and theirs."""
    yield pid
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(n) for t in threads for n in (t / "children").read_text("ascii").split()]
    except (OSError, ValueError):       # it has just ended
        return
    for child in children: yield from family(child)


def resident(pid: int) -> int:
    """Bytes that a process keeps in memory for itself."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    except OSError:
        return 0
    return (int(pages[1]) - int(pages[2])) * PAGE if len(pages) > 2 else 0

