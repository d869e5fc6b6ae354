# make setup | check | test | proofs | demo | matrix | fuzz | test-long | bench
#
# Each target sets up what it needs. PYTHON chooses the interpreter, JOBS the number of processes
# that run the tests. EXTRAS chooses what setup installs: EXTRAS=pipelines is enough to build
# corpora and needs no torch. TORCH_INDEX is the address of a package index with CPU builds of
# torch, for machines without a GPU.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
EXTRAS ?= all,dev
TORCH_INDEX ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(EXTRAS)
# One file's tests share its homes, so they stay in one process; tests/conftest.py orders the files.
PARALLEL := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

# uv where it is installed, else pip. Neither is quiet, so that you see what it is at.
ifneq ($(shell command -v uv 2>/dev/null),)
MAKE_VENV := uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
INSTALL := uv pip install --python $(BIN)/python --constraint constraints.txt
else
MAKE_VENV := $(PYTHON) -m venv $(VENV)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
endif

.PHONY: setup demo check quick test proofs lint matrix fuzz test-long bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo 'setup: install .[$(EXTRAS)] into $(VENV): some minutes'
	@case '$(EXTRAS)' in \
	  *all*|*trainer*) \
	    echo '  disk: 6.7 GB, of which torch with CUDA takes 5.2 GB'; \
	    echo '  without a GPU: make setup TORCH_INDEX=ADDRESS takes torch from an index of CPU builds'; \
	    echo '  without the trainer: make setup EXTRAS=pipelines needs no torch';; \
	  *) \
	    echo '  disk: 0.8 GB, without torch; for the trainer run make setup';; \
	esac
	@echo '  pip may warn that lxml does not provide html_clean: lxml_html_clean does, and is installed'
	$(MAKE_VENV)
	$(if $(TORCH_INDEX),$(INSTALL) --no-deps --index-url '$(TORCH_INDEX)' torch)
	$(INSTALL) --editable '.[$(EXTRAS)]'
	touch $(STAMP)

# A whole build and a training run on Python's own documentation; needs no network and no data.
# After Ctrl-C the demo alone says so: the shell ignores it, and make ends without a line of its own.
demo: setup
	@trap "" INT; $(BIN)/python docs/demo.py demo || [ $$? -eq 130 ]

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# While you work, under two minutes: no test that builds a home, fewer examples per property. The
# types are checked beside the tests.
check: setup
	+$(MAKE) --jobs 2 --output-sync=target lint quick

quick: setup
	HYPOTHESIS_EXAMPLES=$${HYPOTHESIS_EXAMPLES:-20} $(BIN)/pytest -q $(PARALLEL) -m 'not builds and not proof and not long'

# All but the proofs, in some twelve minutes on two cores.
test: lint
	$(BIN)/pytest -q $(PARALLEL) --durations=10 -m 'not proof and not long'

# The other half: builds and runs that are killed, full disks, signals, every engine's faults, whole
# builds of each corpus, the wheel. CI runs both halves.
proofs: setup
	$(BIN)/pytest -q $(PARALLEL) --durations=10 -m 'proof and not long'

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
