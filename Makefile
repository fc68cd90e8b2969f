# make demo        plays a learner through every lesson that exists
# make test        all tests but the slow ones
# make lint        style, types and generated files
# make check       the same, what the text of the course promises, the architecture and tito's own tests
# make test-slow   the tests that build, install or train for minutes
# make mutants     tries every mistake in every exercise, and writes the table of tests/mutants/README.md
# make book        the book, in build/book/html; `tito book` opens it (BOOK=--no-run: without running the lessons)
# make lab         the notebooks in a page that runs them in the browser, in build/lab
# make bench       measures, and writes the tables of benchmarks/README.md
# make clean       removes what these made
#
# Every target makes the virtual environment it needs; VENV and PYTHON say where and from what. TESTS=tests/tito, and
# other words of pytest's, are for `make test`.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# more threads than cores make small matrices slower, and timings worthless
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help demo test lint check test-slow mutants book lab bench clean
help:
	@sed -n '/^# make/s/^# //p' Makefile

demo: $(VENV)/ready
	$(BIN)/python scripts/demo.py

test: $(VENV)/ready-dev
	$(BIN)/python -m pytest -m "not slow" $(TESTS)

test-slow: $(VENV)/ready-dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/ready-dev
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/tito export --check

check: lint
	$(BIN)/tito check-course --fast
	$(BIN)/python -m pytest -m "not slow" tests/test_architecture.py tests/tito

mutants: $(VENV)/ready-dev
	$(BIN)/python scripts/mutants.py

book: $(VENV)/ready-book
	$(BIN)/python book/build.py $(BOOK)

lab: $(VENV)/ready-book
	$(BIN)/python book/lab.py

bench: $(VENV)/ready-dev
	$(BIN)/python benchmarks/bench_door.py
	$(BIN)/python benchmarks/bench_forward.py
	$(BIN)/python benchmarks/bench_training.py
	$(BIN)/python benchmarks/bench_kernels.py

clean:
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# ------------------------------------------------------------------------------ the environment

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("TinyTorch needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[onnx,serve]'
	@touch $@

$(VENV)/ready-book: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --editable '.[book]'
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
