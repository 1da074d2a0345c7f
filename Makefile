# The few words of the house. Needed: make, and Python >= 3.11 as `python3` (or PYTHON=...). `make help` lists them.

PYTHON ?= python3
PY := .venv/bin/python
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup run stop demo up down demo-compose generate check test test-soak test-compose bench-learning lock clean

help:  ## this list
	@$(PYTHON) infra/tools/words.py

setup:  ## .venv, packages, the broker's jars: all inside this folder; does nothing the second time; EXTRAS=torch
	@$(PYTHON) infra/tools/setup.py

run: setup  ## the whole stack on its documented ports, until Ctrl-C or make stop; KAFKA_BOOTSTRAP= for a broker of one's own
	@$(PY) -m infra.local.stack run

stop: setup  ## end what make run, or make demo KEEP=1, left running
	@$(PY) -m infra.local.stack stop

demo: setup  ## a year of real flights round the loop -> var/demo/report.html; DAYS=60, KEEP=1, CALENDAR=1
	@$(PY) -m infra.demo

up:  ## the whole stack in containers, built and healthy: needs Docker 25 with compose 2.24, and nothing else
	@$(PYTHON) -m infra.compose.words up

down:  ## end what make up or make demo-compose started; its data stays, CLEAN=1 removes it
	@$(PYTHON) -m infra.compose.words down

demo-compose:  ## make up, then the flights round the loop on it -> var/compose/report.html; DAYS=60, CALENDAR=1
	@$(PYTHON) -m infra.compose.words demo

generate: setup  ## contracts, topic tables and settings tables from proto/, topics/ and services/
	@$(PY) -m infra.tools.generate

check: setup  ## format, lint, types, and that what is derived is fresh
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m infra.tools.generate --check
	@$(PY) -m infra.tools.notice --check

test: setup  ## unit, contract, integration (a real Kafka from wheels), and the loop end to end on a small stream
	@$(PY) -m pytest -q -n 2 tests/unit
	@$(PY) -m pytest -q -n 2 --dist loadgroup -m "not soak and not bench and not gpu" tests/e2e tests/integration tests/contract

test-soak: setup  ## the long forms: every process killed many times, pairs of kills, Kafka paused for 30 s, a full disk
	@$(PY) -m pytest -m soak tests

bench-learning: setup  ## the loop on eight drifting streams against single strategies in hindsight -> var/bench/learning.json
	@$(PY) -m pytest -q -m bench tests/bench/test_reading.py tests/bench/test_learning.py

test-compose: setup  ## make up on ports of its own: 60 days, then every process killed in turn -> var/bench/compose.json
	@$(PY) -m infra.compose.trial

lock: setup  ## the locks and NOTICE anew
	@$(PY) -m infra.tools.lock
	@$(PYTHON) infra/tools/setup.py
	@$(PY) -m infra.tools.notice

clean:  ## caches and reports of tools; .venv, downloads and the data of make run stay
	@$(PYTHON) infra/tools/clean.py
