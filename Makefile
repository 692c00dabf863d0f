# Two commands do everything on a bare machine: make run (the demo pipeline), make test (all tests).
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test slow check env clean help

help:  ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

run: env  ## the whole pipeline; SET="-S corpus.limit=20" runs it as an experiment with other params
	@if [ -n "$(SET)" ]; then dvc exp run $(SET); else dvc repro; fi
	@kun summary

test: env  ## all tests, without network
	pytest

slow: env  ## also whole pipelines with a tiny model, and real kills
	KUN_SLOW=1 pytest

check: env  ## style and types
	ruff check . && ruff format --check . && mypy

env: $(VENV)/.done  ## the virtual environment, with the demo model

# torch first and pinned: anything else that asks for it would pull its newest build.
$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check "$(TORCH)"
	$(BIN)/pip install -q --disable-pip-version-check -e ".[demo,dev]"
	@touch $@

clean:  ## remove scratch and environment; data and models stay in the DVC cache
	rm -rf $(VENV) .kun
