PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
# Only the plugins that are used: schemathesis's takes seconds of every worker's start.
PYTEST := $(BIN)/pytest --disable-plugin-autoload -p xdist -p hypothesispytest
TERRAFORM ?= terraform
N ?= 20000

.DEFAULT_GOAL := help
.PHONY: help run test lint types imports unit stories infra security prove mutate real-time ledger bench peers import-times pictures drawing clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run ## Start everything on one port; PLATFORM=google on Google's emulators
	@PORT=$(PORT) PLATFORM=$(PLATFORM) $(BIN)/python functions/local.py

test: lint types imports unit stories infra security ## All that CI checks

# Who forbids it has each of the many processes of a test compile all modules anew.
unit stories real-time: export PYTHONDONTWRITEBYTECODE :=

lint: $(VENV)/test ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test ## Static types
	$(BIN)/mypy

imports: $(VENV)/test ## Dependencies point inward
	PYTHONPATH=functions $(BIN)/lint-imports

unit: $(VENV)/test ## Everything but the stories and the infrastructure
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/stories --ignore=tests/infra

stories: $(VENV)/test ## Whole lives of messages; a few also in real time
	$(PYTEST) -n 2 --dist loadgroup tests/stories
	$(PYTEST) -n 8 tests/stories/test_fallback.py -k offline_phone --real-time

infra: $(VENV)/test .venv-deployed/made ## Terraform: plans, grants, names, the deployed archive
	TERRAFORM="$(TERRAFORM)" $(BIN)/pytest tests/infra

security: ## Known misconfigurations in Terraform
	@if $(MAKE) --no-print-directory .venv-checkov/made; \
	then .venv-checkov/bin/checkov -d infra --framework terraform --compact --quiet --skip-download; \
	else echo "checkov cannot be installed here: infra/ is NOT scanned"; [ "$$CI" != true ]; fi

prove: $(VENV)/test ## The long proof, as one table; N=20000 takes six minutes, or ten
	PYTHONPATH=functions:tests $(BIN)/python -m proof N=$(N) SEED=$(SEED) ONLY=$(ONLY)

mutate: $(VENV)/test ## Break each guard and see whether a test notices; SHARE=0.1 for a look, ONLY=word
	PYTHONPATH=functions:tests $(BIN)/python -m proof.mutate SEED=$(SEED) SHARE=$(SHARE) ONLY=$(ONLY)

real-time: $(VENV)/test ## All stories by the machine's own clock (long)
	$(PYTEST) -n 12 tests/stories --real-time

ledger: $(VENV)/test ## Count what a message costs on Google Cloud, into the README
	PYTHONPATH=functions:tests $(BIN)/python -m google_cloud.ledger

bench: $(VENV)/test ## Speed beside its floors, as one table; SHORT=1 for a look
	PYTHONPATH=functions:tests $(BIN)/python -m bench SHORT=$(SHORT) ONLY=$(ONLY)

peers: .venv-celery/made .venv-jasmin/made ## Install what the benchmark compares with; its table says what else

import-times: $(VENV)/test ## Where each function's cold start goes
	PYTHONPATH=functions:tests $(BIN)/python -m bench.imports

pictures: $(VENV)/test ## Retake the README's pictures of the console
	PYTHONPATH=functions:tests $(BIN)/python -m console.pictures

drawing: $(VENV)/test ## Draw the decision table into the README
	PYTHONPATH=functions:tests $(BIN)/python -m domain.drawing

clean: ## Forget the environment and the state
	rm -rf .venv* .backstop

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

# What the platform installs, and no more: the archive is started with it.
.venv-deployed/made: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m venv .venv-deployed
	.venv-deployed/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Its pins are not ours, so it has an environment of its own.
.venv-checkov/made: | $(VENV)/bin/python
	$(BIN)/python -m venv .venv-checkov
	.venv-checkov/bin/pip install --quiet --disable-pip-version-check checkov==3.3.30
	@touch $@

# What people would otherwise take, to be measured beside ours.
.venv-celery/made .venv-jasmin/made: .venv-%/made: | $(VENV)/bin/python
	$(BIN)/python -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --disable-pip-version-check $(PEER_$*)
	@touch $@

PEER_celery := celery[redis]==5.7.0
PEER_jasmin := jasmin==0.11.1
