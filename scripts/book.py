"""Write every lesson, with its solutions, as a notebook: `python scripts/book.py build/book`.

Not executed: opened in Jupyter, each runs from top to bottom in a folder that holds a `tinytorch`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tito.app import open_course
from tito.core.lesson import notebook
from tito.ports.notebooks import NotebooksOnDisk


def main(out: Path):
    course, notebooks = open_course(), NotebooksOnDisk()
    out.mkdir(parents=True, exist_ok=True)
    for lesson in course.curriculum.lessons:
        if lesson.name not in course.written(): continue
        notebooks.write(notebook(course.chapter(lesson), solutions=True), out / lesson.notebook)
        print(out / lesson.notebook)


if __name__ == "__main__":
    if len(sys.argv) != 2: sys.exit(__doc__)
    main(Path(sys.argv[1]))
