# Two commands do everything on a bare machine: make run (the demo pipeline), make test (all tests).
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -q --disable-pip-version-check --no-compile
PEERS := $(basename $(notdir $(wildcard bench/peers/environments/*.txt)))
export PATH := $(CURDIR)/$(BIN):$(PATH)

ASROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: run test check env browser docs docs-serve bench-peers clean help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

run: env  ## the whole pipeline; SET="-S corpus.limit=20" runs it as an experiment with other params
	@if [ -n "$(SET)" ]; then dvc exp run $(SET); else dvc repro; fi
	@kun summary

test: env  ## all tests, without network: whole pipelines and real kills with a tiny model among them
	pytest --durations=20

check: env  ## style and types
	ruff check . && ruff format --check . && mypy

env: $(VENV)/.done  ## the virtual environment, with the demo model

# torch first and pinned: anything else that asks for it would pull its newest build.
# pip compiles on one core; compileall uses all, and grumbles at templates that some packages ship as .py.
$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) -e ".[demo,dev]"
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

# -E: from nothing, as the pages also hang on params.yaml, kun/params and each other; seconds.
docs: env  ## the documentation as a site in site/, without network; a link that leads nowhere stops it
	python -m sphinx -q -W --keep-going -E -c docs/site . site

docs-serve: docs  ## the site at http://127.0.0.1:8000 (PORT=8001: there)
	python -m http.server --bind 127.0.0.1 --directory site $(or $(PORT),8000)

browser:  ## chromium for the tests of pages (Debian, Ubuntu), with fonts for Chinese; without it they are skipped
	@command -v chromium > /dev/null || { $(ASROOT) apt-get update -q && \
		$(ASROOT) apt-get install -q -y --no-install-recommends chromium fonts-noto-cjk; }

bench-peers: $(PEERS:%=.bench/%/.done)  ## an environment for each library that bench/ compares with

# One each: they pin each other's dependencies away. Data-Juicer imports torch, whose build is ours to choose.
.bench/datajuicer/.done: FIRST := "$(TORCH)"
.bench/%/.done: bench/peers/environments/%.txt
	$(PYTHON) -m venv .bench/$*
	.bench/$*/bin/pip install -q --disable-pip-version-check --no-compile $(FIRST) -r $<
	@touch $@

clean:  ## remove scratch and environment; data and models stay in the DVC cache
	rm -rf $(VENV) .bench .kun site
