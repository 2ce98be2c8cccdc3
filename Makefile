# One command each. `make demo` and `make test` set everything up by themselves.
#
#   PYTHON       the Python to make the environment with (3.11 or newer)
#   VENV         where the environment lies
#   PIP_OPTIONS  more options for pip, for example --extra-index-url with the index of PyTorch's CPU builds, which
#                are much smaller on Linux
#   CONSTRAINTS  the pinned versions; empty takes whatever pyproject.toml allows
#   VENV_OPTIONS --system-site-packages uses a PyTorch that is installed already (with CONSTRAINTS= if it is
#                another version than the pinned one)
#   TORCHVISION_PYTHON
#                for make bench: the Python of an environment with torchvision, to be measured beside ours

PYTHON ?= python3
VENV ?= .venv
VENV_OPTIONS ?=
PIP_OPTIONS ?=
CONSTRAINTS ?= constraints.txt
OUTPUT ?= outputs/demo

# A process for each core, and for at most eight: each takes 1.5 GB of memory.
PARALLEL := -n auto --maxprocesses 8
BIN := $(VENV)/bin
READY := $(VENV)/ready
PIN := $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

.PHONY: help setup demo test test-all fmt lint types bench dist clean

help:
	@echo "make demo      predict and evaluate on the example images; ends with pictures and an HTML report"
	@echo "make test      the tests, without the slow ones (make test-all: with them)"
	@echo "make setup     make the environment in $(VENV) (demo and test do so themselves)"
	@echo "make bench     what the fast ways gain, and ours beside torchvision (TORCHVISION_PYTHON=...): an hour"
	@echo "make dist      wheel and source archive in dist/: the same sources give the same bytes"
	@echo "make fmt lint types clean"

setup: $(READY)

$(READY): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; give one with: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) $(PIN) -e ".[dev]"
	@touch $@

demo: $(READY)
	$(BIN)/maskrcnn predict examples/nuclei_mini/images --output $(OUTPUT)/predict --overwrite
	$(BIN)/maskrcnn predict examples/street --model facades --output $(OUTPUT)/street --overwrite
	$(BIN)/maskrcnn evaluate --annotations examples/nuclei_mini/instances_val.json \
	    --images examples/nuclei_mini/images --output $(OUTPUT)/evaluate
	@echo
	@echo "pictures: $(abspath $(OUTPUT))/predict and $(abspath $(OUTPUT))/street"
	@echo "report:   $(abspath $(OUTPUT))/evaluate/report.html"

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-all: $(READY)
	$(BIN)/python -m pip install --quiet --no-deps torchvision==0.28.0  # to compare with; its compiled part is not used
	$(BIN)/python -m pytest $(PARALLEL)

fmt: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done
	@echo "== benchmarks/compare"
	$(BIN)/python -m benchmarks.compare

dist: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/python -m pip install --quiet "setuptools>=77"
	PYTHONPATH=build_tools $(BIN)/python -c 'import reproducible; reproducible.build_sdist("dist")'

clean:
	rm -rf $(VENV) outputs build dist .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
