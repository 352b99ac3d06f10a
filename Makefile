# Every target says what it does and ends in a plain line: done, or what is in the way.
# Start with `make demo` to see it work, or `make test` to see it proved.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# How many tests run at once.
JOBS ?= 2
# Passed on as they are: `make bench ARGS="--seconds 5"`.
ARGS ?=

export JOBS

.PHONY: help setup demo test test-slow check format bench compiled reference screenshots lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## everything that is needed, into .venv; quick when it is there already
	@scripts/setup.sh

demo: setup ## the guardian at work: real ISO 8583 messages, decided and explained
	@.venv/bin/zhiwei demo $(ARGS)

test: setup ## the whole suite as plain Python, then the hot part again as compiled code
	@scripts/test.sh $(ARGS)

test-slow: setup ## the long tests: crashes in a loop, fuzzing, a million cards
	@.venv/bin/pytest -m slow $(ARGS)

check: setup ## format, lint, types and the house rules
	@scripts/check.sh

format: setup ## put every file into the house's format, and mend what lint can mend by itself
	@.venv/bin/ruff check --fix-only --quiet . ; .venv/bin/ruff format . && echo "format: done"

compiled: setup ## a compiled copy of the package in build/compiled, for PYTHONPATH
	@.venv/bin/python scripts/compile.py $(ARGS)

bench: setup ## measure it against its rivals on this machine (compiled where that is possible)
	@if .venv/bin/python scripts/compile.py; then export PYTHONPATH=build/compiled; \
	  elif [ $$? -ne 3 ]; then exit 1; fi; .venv/bin/zhiwei bench $(ARGS)

reference: setup ## renew the pages of docs/reference/ from the code
	@.venv/bin/python -m scripts.reference

screenshots: setup ## pictures of every page in build/screenshots: phone and desk, light and dark, zh and en
	@.venv/bin/python -m scripts.screenshots --out build/screenshots $(ARGS)

lock: ## renew the pins of the development set-up (requirements-dev.txt); needs uv
	@scripts/lock.sh

clean: ## remove what was built and cached; .venv and your data stay
	@rm -rf build dist htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	@find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean: done (.venv kept; remove it by hand to set up anew)"
