# Every daily command. `make` alone lists them. Variables: DATASET, GRAPH, WORKERS, PROJECT, INSTANCE, SCRATCH.

DATASET ?= example
GRAPH ?= $(basename $(notdir $(DATASET)))
TRUTH ?= $(if $(filter example,$(DATASET) $(GRAPH)),build/example/truth.npz)
PYTHON := .venv/bin/python
CLI = $(PYTHON) -m jobs.cli

export GRAPH PROJECT INSTANCE DATABASE SCRATCH PREFIX WORKERS MEMORY_MIB
export PYTHONWARNINGS = ignore

.PHONY: help ingest plan status verify show layer chunk chunk-local failed replay discard pause resume reset upgrade down example test bench clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 16

.venv/run.stamp: requirements.txt constraints.txt jobs/local/install.sh
	@sh jobs/local/install.sh requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/run.stamp
	@sh jobs/local/install.sh requirements-dev.txt
	@touch $@

build/example/truth.npz: | .venv/run.stamp
	@rm -rf build/example && $(PYTHON) -m jobs.example build/example

example: build/example/truth.npz  ## make the example dataset

ingest: .venv/run.stamp $(if $(filter example,$(DATASET)),build/example/truth.npz)  ## build DATASET's graph (TEST=1, RESUME=1, SCHEMA=2)
	@$(CLI) ingest $(DATASET) $(if $(TEST),--test) $(if $(RESUME),--resume) $(if $(SCHEMA),--schema $(SCHEMA)) $(if $(TRUTH),--truth $(TRUTH))

plan: .venv/run.stamp $(if $(filter example,$(DATASET)),build/example/truth.npz)  ## print what DATASET would take
	@$(CLI) plan $(DATASET) $(if $(TEST),--test) $(if $(SCHEMA),--schema $(SCHEMA))

status: .venv/run.stamp  ## how far GRAPH is (JSON=1)
	@$(CLI) status $(if $(JSON),--json)

verify: .venv/run.stamp  ## check GRAPH's whole table
	@$(CLI) verify $(if $(TRUTH),--truth $(TRUTH))

show: .venv/run.stamp  ## NODE's parents, children and edges
	@$(CLI) show $(NODE)

layer: .venv/run.stamp  ## build layer N of GRAPH, for auto_queue_parents: false
	@$(CLI) layer $(N)

chunk: .venv/run.stamp  ## queue one chunk: CHUNK="L X Y Z"
	@$(CLI) chunk $(CHUNK)

chunk-local: .venv/run.stamp  ## build one chunk here and print it: CHUNK="L X Y Z"
	@$(CLI) chunk-local $(CHUNK)

failed: .venv/run.stamp  ## what failed in GRAPH, and why (LAYER=n, CHUNK="L X Y Z" whole, JSON=1)
	@$(CLI) failed $(LAYER) $(if $(CHUNK),--chunk "$(CHUNK)") $(if $(JSON),--json)

replay: .venv/run.stamp  ## queue GRAPH's dead letters again (LAYER=n, CHUNK="L X Y Z, …", DRY=1)
	@$(CLI) replay $(LAYER) $(if $(CHUNK),--chunk "$(CHUNK)") $(if $(DRY),--dry-run)

discard: .venv/run.stamp  ## give up dead letters of GRAPH (LAYER=n or CHUNK="L X Y Z, …", YES=1)
	@$(CLI) discard $(LAYER) $(if $(CHUNK),--chunk "$(CHUNK)") $(if $(YES),--yes)

pause: .venv/run.stamp  ## begin no more chunks of GRAPH
	@$(CLI) pause

resume: .venv/run.stamp  ## go on with GRAPH, whatever was paused or lost
	@$(CLI) resume $(if $(TRUTH),--truth $(TRUTH))

reset: .venv/run.stamp  ## drop GRAPH's progress and messages, not its table (YES=1)
	@$(CLI) reset $(if $(YES),--yes)

upgrade: .venv/run.stamp  ## make GRAPH's table of schema 2 one of schema 3, or go on with that
	@$(CLI) upgrade $(if $(TRUTH),--truth $(TRUTH))

down: .venv/run.stamp  ## end the local emulators
	@$(CLI) down

test: .venv/dev.stamp  ## lint, types and all tests
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m pytest

bench: .venv/dev.stamp build/example/truth.npz  ## measure speed on the example; build/bench.json
	@$(PYTHON) -m tests.benchmarks

clean: down  ## remove the environment and everything built
	rm -rf .venv build
