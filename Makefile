# Everything a newcomer needs: `make run` and `make test` prepare what they use, from a machine that
# has Python 3.11 or newer with pip and venv, and make. Nothing is installed outside $(VENV).

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# The tests wait for locks, peers and other processes more than they compute; each job has a
# server of its own, and --dist loadgroup keeps together what shares a costly fixture.
JOBS ?= 4
ENGINE ?= docker

BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.installed
LOCKS := requirements.lock requirements-build.lock requirements-dev.lock
PROJECTS := pyproject.toml bot/pyproject.toml queue/pyproject.toml sync/pyproject.toml
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url

# uv must not look for another environment, another Python or an older cache of our own folders.
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# The pyright of the lock is the one to run; without this each run asks the index for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test test-pgbouncer hostile fuzz bench bench-sync install check lint format reference lock image image-test clean

help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'ARGS="…" is handed on, e.g. make test ARGS="-k retry"; another Python beside the usual one:'
	@echo 'make test PYTHON=python3.13 VENV=.venv-3.13'

run: $(STAMP) ## Runs El Heraldo: in Telegram with TELEGRAM_BOT_TOKEN, else as a chat in the terminal
	@exec $(BIN)/heraldo run $(ARGS)

# Two runs (pyproject.toml says why), the second also when the first failed; either fails the target.
test: $(STAMP) ## Runs every test; needs no service
	@status=0; \
	$(BIN)/pytest queue -n $(JOBS) $(ARGS) || status=$$?; \
	$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS) || status=$$?; \
	exit $$status

test-pgbouncer: $(STAMP) ## Runs the queue's tests behind a real PgBouncer (Debian's package)
	$(BIN)/pytest queue -m pgbouncer $(ARGS)

hostile: $(STAMP) ## Sends the bot all that is hostile; writes what it cost into docs/hostile.md
	$(BIN)/pytest tests/sync/test_hostile.py --write-costs $(ARGS)

fuzz: $(STAMP) ## Gives the readers 10,000 random inputs for each property; see docs/hostile.md
	$(BIN)/pytest tests/fuzz --hypothesis-profile=fuzz --timeout=0 $(ARGS)

bench: $(STAMP) ## Measures the queue beside its peers; see docs/benchmarks.md
	@$(BIN)/python benchmarks/queue/run.py $(ARGS)

bench-sync: $(STAMP) ## Measures the way of a feed, from the server to what is to be sent
	@$(BIN)/python benchmarks/sync/run.py $(ARGS)

install: $(STAMP) ## Makes .venv with the heraldo and colmillo commands
	@echo 'Ready: $(BIN)/heraldo and $(BIN)/colmillo' >&2

check: lint test ## Lint, types, layer contracts, then every test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(UV) pip check --quiet --python $(BIN)/python

format: $(STAMP) ## Lays out the code and mends what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

reference: $(STAMP) ## Writes docs/colmillo/reference from the queue's docstrings
	@$(BIN)/python docs/reference.py $(ARGS)

lock: $(UV) ## Brings the locks in line with the pyproject files; newer versions with ARGS=--upgrade
	$(COMPILE) $(ARGS) --custom-compile-command "make lock" --all-extras \
		--no-emit-package colmillo --no-emit-package heraldo --no-emit-package heraldo-sync \
		-o requirements.lock queue/pyproject.toml sync/pyproject.toml bot/pyproject.toml
	$(COMPILE) $(ARGS) --custom-compile-command "make lock" \
		-c requirements.lock --group pyproject.toml:build -o requirements-build.lock
	$(COMPILE) $(ARGS) --custom-compile-command "make lock" \
		-c requirements.lock -c requirements-build.lock --group pyproject.toml:dev \
		-o requirements-dev.lock

image: ## Builds the container image heraldo:local (with podman: make image ENGINE=podman)
	$(ENGINE) build $(if $(filter podman,$(ENGINE)),--format docker) \
		--tag heraldo:local --file docker/Dockerfile .

image-test: ## Builds the image without an engine or a registry and tries it (root, Debian)
	docker/image-test.sh

clean: ## Removes the environment and every cache
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find bot queue sync tests alembic benchmarks -name __pycache__ -prune -exec rm -rf {} +

# pip is used once, for uv; uv then makes the environment exactly what the locks say (uv included).
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=python3.11 …' >&2; exit 1; }
	@echo 'Making $(VENV) …' >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-build.lock

$(STAMP): $(LOCKS) $(PROJECTS) | $(UV)
	@echo 'Installing what the locks name …' >&2
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
		-e queue -e sync -e bot
	@touch $@
