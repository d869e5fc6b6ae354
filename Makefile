# make setup | check | test | demo | matrix | fuzz | test-long | bench
#
# Each target sets up what it needs. PYTHON chooses the interpreter, JOBS the number of processes
# that run the tests.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One file's tests share its homes, so they stay in one process; tests/conftest.py orders the files.
PARALLEL := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: setup demo check quick test lint matrix fuzz test-long bench clean

setup: $(STAMP)

# Uses uv where it is installed, else pip.
$(STAMP): pyproject.toml constraints.txt
	if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[all,dev]'; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'; \
	fi
	touch $(STAMP)

# A whole build and a training run on Python's own documentation; needs no network and no data.
demo: setup
	$(BIN)/python docs/demo.py demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# While you work, under two minutes: no test that builds a home, fewer examples per property. The
# types are checked beside the tests.
check: setup
	+$(MAKE) --jobs 2 --output-sync=target lint quick

quick: setup
	HYPOTHESIS_EXAMPLES=$${HYPOTHESIS_EXAMPLES:-20} $(BIN)/pytest -q $(PARALLEL) -m 'not builds and not long'

test: lint
	$(BIN)/pytest -q $(PARALLEL) --durations=10

# The same home on every engine, one digest. Makes what it needs (Beam 2.62 with pyspark, a jar,
# Prism) in ~/.cache/corpusmill/engines.
matrix: setup
	$(BIN)/python tests/engines/matrix.py

# Feeds hostile input to every reader, for about a minute; CORPUSMILL_FUZZ=100 takes hours.
fuzz: setup
	CORPUSMILL_FUZZ=$${CORPUSMILL_FUZZ:-4} $(BIN)/pytest -q $(PARALLEL) tests/fuzz

# Runs everything, which takes minutes to hours, and the tests on each other Python that is found.
test-long: setup
	CORPUSMILL_FUZZ=20 $(BIN)/pytest -q -m 'long or not long'
	sh tests/pythons.sh 3.10 3.12 3.13

bench: setup
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) demo build *.egg-info
