.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# The environment is made again when the list of dependencies changes, and only then.
# (In pyproject.toml the configuration of tools comes last.)
HASH := $(shell sed '/^\[tool\.ruff\]/,$$d' pyproject.toml sdk/python/pyproject.toml | cksum | cut -d' ' -f1)
RUN := .venv/.run-$(HASH)
DEMO := .venv/.demo-$(HASH)
DEV := .venv/.dev-$(HASH)
PYTEST_FLAGS ?= -n auto

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: $(RUN)  ## Start everything in one process (SQLite, no Redis)
	@$(BIN)/python manage.py up

demo: $(DEMO)  ## The same, with a fleet of demo services to look at
	@$(BIN)/python manage.py demo

test: most-tests browser-tests  ## Run the tests; those that need a server you lack are skipped

most-tests: $(DEV)
	$(BIN)/pytest $(PYTEST_FLAGS) $(COVER) --ignore=tests/browser

# Apart: Playwright leaves an event loop in the main thread.
browser-tests: $(DEV)
	$(BIN)/pytest tests/browser -p no:randomly $(if $(COVER),$(COVER) --cov-append)

lint: $(DEV)  ## Style, types, import contracts, templates, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	git ls-files 'sdk/python/switchgear/*.py' | xargs $(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	git ls-files 'templates/*.html' | xargs -r $(BIN)/djade --check --target-version 5.2
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check

fix: $(DEV)  ## Apply every automatic fix
	-$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	-git ls-files 'templates/*.html' | xargs -r $(BIN)/djade --target-version 5.2

check: lint  ## What CI runs: lint, then the tests with their coverage
	$(MAKE) test COVER="--cov --cov-report="
	$(BIN)/coverage report
	$(BIN)/python -m tests.pure_coverage

soak: $(DEV)  ## The laws at full counts; takes hours
	SWITCHGEAR_SOAK=1 $(BIN)/pytest $(PYTEST_FLAGS) --ignore=tests/browser

$(RUN):
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable sdk/python --editable .
	touch $@

$(DEMO): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[demo]"
	touch $@

$(DEV): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev --editable sdk/python --editable ".[scale]"
	touch $@

.NOTPARALLEL:
.PHONY: help run demo test most-tests browser-tests lint fix check soak
