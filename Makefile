PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint types imports unit stories real-time ledger import-times drawing clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run ## Start everything on one port; PLATFORM=google on Google's emulators
	@PORT=$(PORT) PLATFORM=$(PLATFORM) $(BIN)/python functions/local.py

test: lint types imports unit stories ## All that CI checks

lint: $(VENV)/test ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test ## Static types
	$(BIN)/mypy

imports: $(VENV)/test ## Dependencies point inward
	PYTHONPATH=functions $(BIN)/lint-imports

unit: $(VENV)/test ## Everything but the stories
	$(BIN)/pytest -n 2 --dist loadfile --ignore=tests/stories

stories: $(VENV)/test ## Whole lives of messages; a few also in real time
	$(BIN)/pytest -n 2 --dist loadgroup tests/stories
	$(BIN)/pytest -n 8 tests/stories/test_fallback.py -k offline_phone --real-time

real-time: $(VENV)/test ## All stories by the machine's own clock (long)
	$(BIN)/pytest -n 12 tests/stories --real-time

ledger: $(VENV)/test ## Count what a message costs on Google Cloud, into the README
	PYTHONPATH=functions:tests $(BIN)/python -m google_cloud.ledger

import-times: $(VENV)/test ## Where each function's cold start goes
	PYTHONPATH=functions:tests $(BIN)/python -m bench.imports

drawing: $(VENV)/test ## Draw the decision table into the README
	PYTHONPATH=functions:tests $(BIN)/python -m domain.drawing

clean: ## Forget the environment and the state
	rm -rf $(VENV) .backstop

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Backstop needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: requirements.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/test: tests/requirements.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@ $(VENV)/run
