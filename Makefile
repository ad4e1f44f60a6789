# Every target sets up what it needs on a fresh machine; a second run starts at once.
# Set-up has three layers: Debian packages (.ci/prepare), the locked virtual environment, fleet itself as an installed package.

VENV    ?= .venv
PYTEST  ?= $(VENV)/bin/pytest
WORKERS ?= auto
BIN     := $(VENV)/bin
PIP      = $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
LOCK     = $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --upgrade \
           --no-emit-index-url --no-emit-find-links --no-header --no-annotate

# Stamps live inside the environment that they describe: removing it removes them.
RUNTIME := $(VENV)/.fleet-runtime
DEV     := $(VENV)/.fleet-dev
FLEET   := $(VENV)/.fleet-package
SOURCES := fleet environments pyproject.toml README.md LICENSE
STALE   := $(shell find $(SOURCES) -newer $(FLEET) ! -name '*.pyc' ! -name __pycache__ -print -quit 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help test test-unit check demo bench lint types contracts containerfile dev lock clean FORCE

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  %-20s%s\n' "$$name" "$$text"; done

test: .stamps/system-test lint types contracts containerfile ## everything: lint, types, import contracts, all tests against the installed package
	FLEET_TEST_INSTALLED=1 $(PYTEST) -n $(WORKERS) --maxprocesses=4 --dist=loadgroup --durations=15

check: lint types contracts ## the fast part: lint, types, import contracts, tests that need no host
	$(PYTEST) -n $(WORKERS) --maxprocesses=4 --dist=loadgroup -m "not hosts"

test-unit: .stamps/system-test $(FLEET) $(DEV) ## every test of a running controller, under the unit that `fleet service install` writes
	FLEET_TEST_CONTROLLER=unit $(PYTEST) tests/e2e/test_serve.py tests/e2e/test_exec.py tests/e2e/test_notifications.py \
	    tests/e2e/test_observed.py tests/e2e/test_quiet_sweep.py tests/e2e/test_fleet_service.py

demo: .stamps/system-demo $(FLEET) ## twenty throw-away hosts on this machine, from plan to drift and back
	@$(BIN)/fleet demo

bench: .stamps/system-test $(FLEET) $(DEV) ## measure against the floor; prints a table, writes JSON under benchmarks/results
	$(BIN)/python -m benchmarks

lint: $(DEV) ## ruff: rules and format
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

types: $(DEV) $(FLEET) ## mypy --strict
	$(BIN)/mypy --strict

contracts: $(DEV) $(FLEET) ## import-linter: which module may import which
	@$(BIN)/lint-imports --no-logo > $(VENV)/.contracts.log || { cat $(VENV)/.contracts.log; exit 1; }

containerfile: $(DEV) ## hadolint on the Containerfile
	$(BIN)/hadolint Containerfile

dev: $(DEV) ## make the environment follow the working tree (editable install), until the next make test or check
	$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $(FLEET)

lock: $(DEV) ## resolve the newest versions that pyproject.toml allows into requirements*.lock
	$(LOCK) pyproject.toml --extra sops -o requirements.lock
	$(LOCK) pyproject.toml --extra sops --extra dev -c requirements.lock -o requirements-dev.lock
	printf 'hatchling\npip\n' | $(LOCK) - -c requirements-dev.lock -o requirements-build.lock

clean: ## remove the environment, the stamps and everything that was built
	rm -rf $(VENV) .stamps dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find fleet tests benchmarks environments -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Debian packages: .ci/prepare installs what is missing when root, and says what is missing otherwise.
# One after the other, so that two apt-gets never meet under `make -j`.
.stamps/system-demo: | .stamps/system-build
.stamps/system-test: | .stamps/system-demo
.stamps/system-%: .ci/prepare
	@sh .ci/prepare $*
	@mkdir -p $(@D) && touch $@

$(VENV)/pyvenv.cfg: | .stamps/system-build
	@python=$$(sh .ci/prepare python) && echo "setting up $(VENV) with $$python" && "$$python" -m venv $(VENV)

$(RUNTIME): requirements.lock requirements-build.lock | $(VENV)/pyvenv.cfg
	$(PIP) install --require-hashes -r requirements-build.lock
	$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# fleet is installed after everything else, so that two pips never write into one environment under `make -j`.
$(FLEET): $(RUNTIME) $(if $(STALE),FORCE) | $(if $(filter-out demo,$(MAKECMDGOALS)),$(DEV))
	$(PIP) install --no-deps --no-build-isolation --force-reinstall .
	@$(PIP) check
	@touch $@
