# Everything a person does with this tree. `make` alone lists the targets.
BIN := .venv/bin
ARGS ?=
LOCK := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
.DEFAULT_GOAL := help
.PHONY: help setup broker demo test lint bench docs lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv from requirements.lock; instant when it is up to date
	@scripts/ensure-venv

broker: setup ## See that a RabbitMQ server is installed, for the demo and the tests
	@scripts/ensure-broker

demo: setup broker ## Two organisations, a private broker, one enrollment, a verified channel (ARGS=--json)
	@$(BIN)/agent demo $(ARGS)

test: setup broker ## All tests; protocol and agents.core must be covered completely (ARGS="tests/unit -x")
	@$(BIN)/pytest -q -n 2 --dist loadfile --cov=protocol --cov=agents $(ARGS)

lint: setup ## Style, types, import contracts, forbidden text
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache --no-logo
	@scripts/check-text

bench: setup broker ## Measure what docs and benchmarks promise
	@$(BIN)/python -m benchmarks $(ARGS)

docs: setup ## Write the generated parts of docs/PROTOCOL.md
	@$(BIN)/python scripts/generate_docs.py

lock: setup ## Choose the newest permitted versions and write the lock files with their hashes
	@$(LOCK) --upgrade --all-extras --output-file requirements.lock pyproject.toml
	@$(LOCK) --constraint requirements.lock --extra postgresql --output-file requirements-runtime.lock pyproject.toml
	@$(LOCK) --constraint requirements.lock --all-build-deps --only-build-deps --output-file requirements-build.lock pyproject.toml

clean: ## Remove what make and the tools made
	@rm -rf .venv build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
