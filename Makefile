# make demo | test | test-all | lint | docs | figures | bench | clean: each does its whole set-up on a machine with make and
# Python 3.11 or newer. Nothing is installed twice: stamps in .venv say what is there already. Python compiles
# what it imports, when it does: to compile all that pip installs takes a minute or two.

VENV := .venv
BIN := $(VENV)/bin

# The first of these that is 3.11 or newer and can make a virtual environment; PYTHON=... overrides.
CANDIDATES := python3.11 python3.12 python3.13 python3
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	$$python -c '$(USABLE)' >/dev/null 2>&1 && echo $$python && break; done)

.PHONY: demo test test-all lint docs figures bench clean

demo: $(VENV)/.package
	$(BIN)/python -m sbi_inn fit inverse_kinematics --out demo/

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow"

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -b html -q -W --keep-going docs docs/_build/html

figures: $(VENV)/.package
	$(BIN)/python docs/figures/make.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/first_light.py --seeds 1

clean:
	rm -rf $(VENV) build dist demo docs/_build docs/_gallery docs/reference/generated *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer, with venv, is needed; none of $(CANDIDATES) is." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.package: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --no-compile -e .
	touch $@

$(VENV)/.dev: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --no-compile -e '.[dev]'
	touch $(VENV)/.package $@
