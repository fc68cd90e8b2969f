# %% [markdown]
# # Appendix: fetching files
#
# A connection breaks in the middle. A server sends a page of apologies with a friendly 200. A disk is full, a
# proxy changes a byte, somebody presses Ctrl-C, and a conference hotel has no network at all. What arrives in
# the end must be the file, all of it, or nothing under its name.

# %%
#| export
"""Files from the network: resumed where they broke off, checked, and whole or not there."""

# %%
#| export
from __future__ import annotations

import hashlib
import http.client
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

# %% [markdown]
# What has arrived lies in `NAME.part`, and the next try asks for the rest only. A server that does not know
# how to send the rest sends everything, and so we begin anew. The checksum is computed over the whole file;
# if it is another one, what came is thrown away, and the next mirror is asked.

# %%
#| export
CHUNK = 1 << 16
TRIES = 3           # in a row that bring nothing new, before a mirror is given up
TIMEOUT = 30.0      # seconds without a byte
TROUBLE = (OSError, http.client.HTTPException)      # urllib's errors are OSErrors
Progress = Callable[[int, int], None]               # bytes so far, and of how many (0 if nobody knows)


class Damaged(OSError):
    """What came is not what was meant to come."""


def download(
    urls: str | Sequence[str],              # the same file at several mirrors, the best first
    path: str | Path,                       # where it goes
    checksum: str = "",                     # of the whole file, in hexadecimal: MD5 or SHA-256, by its length
    progress: Progress | None = None,       # by default a line on a terminal
) -> Path:
    """Fetches a file that is not there yet; an OSError says what was tried, and where to put it by hand."""
    path, problems = Path(path), []
    if path.exists(): return path
    path.parent.mkdir(parents=True, exist_ok=True)
    for url in [urls] if isinstance(urls, str) else urls:
        try: return fetched(url, path, checksum, progress or shown(path.name))
        except TROUBLE as problem: problems.append(f"    {url}: {reason(problem)}")
    raise OSError("\n".join([f"{path.name} could not be fetched:", *problems, by_hand(path)]))


def by_hand(path: Path) -> str:
    """What somebody without a network can do."""
    return (f"Without a network: fetch it elsewhere and put it at {path}, or name another folder in the "
            "environment variable TINYTORCH_DATA.")


def reason(problem: Exception) -> str:
    inner = problem.reason if type(problem) is urllib.error.URLError else problem
    return str(inner) or type(problem).__name__


def fetched(url: str, path: Path, checksum: str, progress: Progress) -> Path:
    """The file from one mirror."""
    part = path.with_name(f"{path.name}.part")
    tries, arrived = TRIES, False
    while not arrived:
        before = size_of(part)
        try: arrived = more(url, part, progress)
        except urllib.error.HTTPError: raise
        except TROUBLE:
            tries = TRIES if size_of(part) > before else tries - 1
            if not tries: raise
    if checksum and digest(part, checksum) != checksum.lower():
        size = size_of(part)
        part.unlink()
        raise Damaged(f"the {size:,} bytes that came have another checksum than the file")
    part.replace(path)
    return path


def size_of(path: Path) -> int: return path.stat().st_size if path.exists() else 0


def digest(path: Path, like: str) -> str:
    """The checksum of a file, of the kind that another one is."""
    kinds = {32: "md5", 40: "sha1", 64: "sha256"}
    if len(like) not in kinds:
        raise ValueError(f"a checksum has 32, 40 or 64 digits, not {len(like)}: {like}")
    with path.open("rb") as file: return hashlib.file_digest(file, kinds[len(like)]).hexdigest()


def more(url: str, part: Path, progress: Progress) -> bool:
    """Fetches what is missing behind what has arrived; True when nothing is missing any more."""
    have = size_of(part)
    wanted = {"User-Agent": "tinytorch", **({"Range": f"bytes={have}-"} if have else {})}
    try: answer = urllib.request.urlopen(urllib.request.Request(url, headers=wanted), timeout=TIMEOUT)
    except urllib.error.HTTPError as problem:
        if problem.code != 416 or not have: raise       # "there is nothing behind that"
        problem.close()
        if problem.headers.get("Content-Range", "").endswith(f"/{have}"): return True
        part.unlink()
        raise Damaged("what had arrived was longer than the file") from None
    with answer:
        goes_on = answer.status == 206 and begins_at(answer) == have
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
    if total and have < total: raise Damaged(f"the connection broke off after {have:,} of {total:,} bytes")
    return True


def begins_at(answer) -> int:
    """Where the part that a server sends begins."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def shown(name: str) -> Progress:
    """A line on a terminal that says how far it is; silent elsewhere."""
    if not sys.stderr.isatty(): return lambda have, total: None

    def show(have: int, total: int) -> None:
        far = f"{100 * have // total} % of {total / 1e6:.1f} MB" if total else f"{have / 1e6:.1f} MB"
        print(f"\r{name}: {far}", end="\n" if have == total else "", file=sys.stderr, flush=True)
    return show
