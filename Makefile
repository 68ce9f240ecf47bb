# Two commands: `make run` and `make test`. The rest is listed by `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run demo test hunt examples crashes templates check format lock vendor bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: $(STAMP) ## build .venv from the locked, hashed requirements

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sluice needs Python 3.11 or newer; say which one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP) ## embedded PostgreSQL, sandbox, gateway, workers and a sample business system
	@exec $(BIN)/sluice run

demo: $(STAMP) ## drive 300 payments, refunds and payouts through it all and compare the books
	@exec $(BIN)/sluice demo

test: $(STAMP) ## run every test, on every core
	$(BIN)/python -m pytest -n auto --dist worksteal

hunt: $(STAMP) ## kill gateways under load, 25 times, freeze them 10 times, settle 41,000 payments, compare a day of 100,000 lines, hold rules against 50,000 payments (some minutes)
	SLUICE_HUNT_KILLS=25 SLUICE_HUNT_FREEZES=10 SLUICE_HUNT_PARTS=41000 SLUICE_HUNT_LINES=100000 SLUICE_HUNT_PAYMENTS=50000 $(BIN)/python -m pytest tests/e2e/test_crash.py tests/e2e/test_frozen.py tests/storage/test_collected_repayment.py tests/storage/test_big_day.py tests/storage/test_transactions.py

examples: $(STAMP) ## 40 times as many random examples as the suite draws (some minutes)
	SLUICE_HUNT_EXAMPLES=40 $(BIN)/python -m pytest -n auto --dist worksteal tests/unit/router tests/unit/api tests/unit/reconciliation tests/unit/test_catalogue_writing.py tests/adapters/test_fuzz.py tests/adapters/test_signing.py tests/e2e/test_openapi.py tests/storage/test_comparing_random.py

crashes: $(STAMP) ## a gateway dies at every outside action of every flow, and at every pair (long)
	SLUICE_HUNT_CRASHES=1 $(BIN)/python -m pytest -n auto --dist worksteal tests/simulation

templates: $(STAMP) ## a provider of new-adapter, held by types and import rules, too (a minute)
	SLUICE_HUNT_TEMPLATES=1 $(BIN)/python -m pytest tests/adapters/test_new_adapter.py

check: $(STAMP) ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## pgbench and Sluice on the same server, in one run
	$(BIN)/python -m benchmarks

lock: $(STAMP) ## resolve the requirements anew
	$(BIN)/uv pip compile pyproject.toml --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade -q -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --group dev --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade -q -o requirements/dev.txt

vendor: $(STAMP) ## fetch the files of others that pages load, in the versions of gateway/pages/vendor.toml (needs npm)
	$(BIN)/python -m gateway.pages.vendor

clean: ## remove the environment and caches (the data folder stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
