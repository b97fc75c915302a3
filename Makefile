# Every daily command; `make` alone lists them. Variables are given on make's command line: DATASET, GRAPH, WORKERS;
# PROJECT, INSTANCE, REGION for the cloud. A variable of that name that merely stands in the shell counts for nothing,
# as PREFIX, DATABASE or YES mean something else there; for a shell there are INGEST_PROJECT and so on.

SETTINGS := GRAPH PROJECT INSTANCE DATABASE SCRATCH PREFIX WORKERS MEMORY_MIB
ARGUMENTS := DATASET TRUTH TEST RESUME SCHEMA JSON NODE N CHUNK LAYER DRY YES ALL REPLACE START ANYWAY MINUTES REGION IMAGE COVERAGE RAW PREPARE VERIFY QUEUE SAMPLE PORT
$(foreach name,$(SETTINGS) $(ARGUMENTS),$(if $(filter environment%,$(origin $(name))),$(eval undefine $(name))))

# make itself would take a $ for a variable of its own, and the shell ends a command with a line; no value needs them.
define newline


endef
odd = $(findstring $$,$(value $(1)))$(findstring $(newline),$(value $(1)))
$(foreach name,$(SETTINGS) $(ARGUMENTS) $(SETTINGS:%=INGEST_%),$(if $(call odd,$(name)),\
  $(error $(name) has a $$ or the end of a line in it, which no value may have)))
$(foreach name,DATASET TRUTH,$(if $(filter -%,$(firstword $($(name)))),\
  $(error $(name) = $($(name)) begins with a hyphen, like an option; write ./ before it)))

# What the command line leaves open is as INGEST_* in the shell says; but a dataset's graph has the dataset's name,
# whatever graph a shell is about. A blank would make two names of one, so it is another letter meanwhile.
given = $(filter-out undefined,$(origin $(1)))
blank := $(subst ,, )
JOINED := $(subst $(blank),|,$(DATASET))
GRAPH_OF_DATASET := $(subst |,$(blank),$(patsubst %.yml,%,$(patsubst %.yaml,%,$(notdir $(JOINED)))))
EXAMPLE := $(filter example raw segmentation flat,$(JOINED))
MADE := $(if $(EXAMPLE),build/$(EXAMPLE:flat=segmentation)/truth.npz)
# Of flat labels there is no truth but they themselves.
TRUE := $(if $(filter flat,$(EXAMPLE)),,$(MADE))
$(if $(call given,GRAPH),,$(if $(DATASET),$(eval GRAPH := $$(GRAPH_OF_DATASET))))
$(foreach name,$(SETTINGS),$(if $(call given,$(name)),,$(if $(INGEST_$(name)),$(eval $(name) := $$(INGEST_$(name))))))
SAID_HERE := $(foreach name,REGION PREFIX,$(if $(call given,$(name)),$(name)))

# In quotes for the shell; and nothing for 0, no, false and off.
quoted = '$(subst ','\'',$(1))'
on = $(filter-out 0 no No NO false False FALSE off Off OFF,$(strip $(1)))
flag = $(if $(call on,$(1)),$(2))
option = $(if $(1),$(2) $(call quoted,$(1)))

# Where this project's installation is, as its first deployment left it; another project's is no default.
kept = $(shell sed -n 's/^ *"$(1)": "\(.*\)",*$$/\1/p' terraform/installation.auto.tfvars.json 2>/dev/null)
HERE := $(and $(PROJECT),$(filter $(PROJECT),$(call kept,project)))
REGION ?= $(or $(if $(HERE),$(call kept,region)),us-central1)
$(if $(call given,PREFIX),,$(if $(HERE),$(eval PREFIX := $$(call kept,prefix))))
INSTALLED = $(or $(PREFIX),chunkedgraph-ingest)
$(foreach name,$(SETTINGS),$(if $(call given,$(name)),$(eval export INGEST_$(name) := $$($(name)))))
PYTHON := .venv/bin/python -E -s
# Where Python could not even begin, it would end with a violation's code.
UNREADABLE = { echo "$(CURDIR)/jobs: not all files of this checkout can be read" >&2; exit 74; }
CLI = cat jobs/__init__.py jobs/cli.py jobs/entry.py jobs/streams.py >/dev/null || $(UNREADABLE); $(PYTHON) -m jobs.cli
# Only a region that was said: the others are remembered, or deployed.
DOCTOR = $(CLI) doctor $(if $(DATASET),$(call quoted,$(DATASET))) $(if $(filter REGION,$(SAID_HERE)),--region $(call quoted,$(REGION)))
RAW_OPTION = $(call flag,$(RAW),--raw)
NEED_DATASET = $(if $(DATASET),,$(error DATASET is not given: a name in configs/, or the path of a dataset file))

.PHONY: help check ingest plan sample doctor status page report cost runs verify repair show view layer chunk chunk-local failed logs replay discard pause resume reset upgrade down example test bench soak tfvars bundles image deploy update clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 16

# An environment without its Python, as after an upgrade of the system, is made anew.
ifeq ($(wildcard .venv/bin/python),)
.PHONY: .venv/run.stamp
endif
.venv/run.stamp: requirements.txt constraints.txt jobs/local/install.sh
	@sh jobs/local/install.sh requirements.txt
	@touch $@

# What only looking at things in a browser needs; workers and the image do without it.
.venv/look.stamp: requirements-look.txt .venv/run.stamp
	@sh jobs/local/install.sh requirements-look.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/look.stamp
	@sh jobs/local/install.sh requirements-dev.txt
	@touch $@

# Made beside its place, so that what was interrupted is made anew, and never taken for the whole.
build/example/truth.npz: | .venv/run.stamp
	@rm -rf build/example.part && $(PYTHON) -m jobs.example build/example.part
	@rm -rf build/example && mv build/example.part build/example

build/raw/truth.npz: | .venv/run.stamp
	@rm -rf build/raw.part && $(PYTHON) -m jobs.example build/raw.part --raw
	@rm -rf build/raw && mv build/raw.part build/raw

build/segmentation/truth.npz: | .venv/run.stamp
	@rm -rf build/segmentation.part && $(PYTHON) -m jobs.example build/segmentation.part --segmentation
	@rm -rf build/segmentation && mv build/segmentation.part build/segmentation

example: build/example/truth.npz  ## make the example dataset

ingest: .venv/run.stamp $(MADE)  ## build DATASET's graph (TEST=1, RESUME=1, SCHEMA=2, RAW=1, PREPARE=1, VERIFY=1)
	$(NEED_DATASET)@$(CLI) ingest $(call quoted,$(DATASET)) $(call flag,$(TEST),--test) $(call flag,$(RESUME),--resume) \
	  $(call option,$(SCHEMA),--schema) $(call option,$(or $(TRUTH),$(TRUE)),--truth) \
	  $(RAW_OPTION) $(call flag,$(PREPARE),--prepare-only) $(call flag,$(VERIFY),--verify) $(call flag,$(ANYWAY),--anyway)

plan: .venv/run.stamp $(MADE)  ## print what DATASET would take, by a look into SAMPLE=32 of its chunks (VERIFY=1 with it)
	$(NEED_DATASET)@$(CLI) plan $(call quoted,$(DATASET)) $(call flag,$(TEST),--test) $(RAW_OPTION) $(call option,$(SCHEMA),--schema) \
	  $(call option,$(SAMPLE),--sample) $(call flag,$(VERIFY),--verify)

sample: .venv/run.stamp $(MADE)  ## build N=8 scattered chunks of DATASET for real and say what they take (in a task with PROJECT)
	$(NEED_DATASET)@$(CLI) sample $(call quoted,$(DATASET)) $(RAW_OPTION) $(call option,$(SCHEMA),--schema) $(call option,$(N),--count)

doctor: .venv/run.stamp  ## look at all that a run needs in PROJECT, and say what to type (DATASET, START=1)
	@$(DOCTOR) $(call flag,$(START),--start)

status: .venv/run.stamp  ## how far GRAPH is (JSON=1)
	@$(CLI) status $(call flag,$(JSON),--json)

page: .venv/look.stamp  ## show GRAPH's run in a browser of this machine: a map of its chunks, failures (PORT=n)
	@$(CLI) page $(call option,$(PORT),--port)

report: .venv/run.stamp  ## write what GRAPH's run came to as one page to keep: build/reports/GRAPH.html
	@$(CLI) report

cost: .venv/run.stamp  ## what GRAPH took beside what its plan said, a line a layer and service (JSON=1)
	@$(CLI) cost $(call flag,$(JSON),--json)

runs: .venv/run.stamp  ## all runs with sizes, hours, cost and results, the newest first (JSON=1)
	@$(CLI) runs $(call flag,$(JSON),--json)

verify: .venv/run.stamp  ## check GRAPH's whole table (QUEUE=1: by workers, as with PROJECT; SAMPLE=n chunks a layer)
	@$(CLI) verify $(call option,$(TRUTH),--truth) $(call option,$(SAMPLE),--sample) $(call flag,$(QUEUE),--queue)

repair: .venv/run.stamp  ## build again what verify found damaged in GRAPH, and verify again (CHUNK="L X Y Z, …", DRY=1, YES=1)
	@$(CLI) repair $(call option,$(CHUNK),--chunk) $(call flag,$(DRY),--dry-run) $(call flag,$(YES),--yes)

show: .venv/run.stamp  ## NODE's parents, children and edges
	@$(CLI) show $(call quoted,$(NODE))

view: .venv/look.stamp  ## GRAPH in Neuroglancer, coloured by root (NODE=id, LAYER=n, PORT=n)
	@$(CLI) view $(call option,$(NODE),--node) $(call option,$(LAYER),--layer) $(call option,$(PORT),--port)

layer: .venv/run.stamp  ## build layer N of GRAPH, for auto_queue_parents: false
	@$(CLI) layer $(call quoted,$(N))

chunk: .venv/run.stamp  ## queue one chunk: CHUNK="L X Y Z"
	@$(CLI) chunk $(call quoted,$(CHUNK))

chunk-local: .venv/run.stamp  ## build one chunk here and say what it would write: CHUNK="L X Y Z" (ALL=1: every cell)
	@$(CLI) chunk-local $(call quoted,$(CHUNK)) $(call flag,$(ALL),--all)

failed: .venv/run.stamp  ## what failed in GRAPH, and why (LAYER=n, CHUNK="L X Y Z" whole, JSON=1)
	@$(CLI) failed $(if $(LAYER),$(call quoted,$(LAYER))) $(call option,$(CHUNK),--chunk) $(call flag,$(JSON),--json)

logs: .venv/run.stamp  ## what was logged of one chunk of GRAPH, attempts in order: CHUNK="L X Y Z" (ALL=1: older runs; JSON=1)
	@$(CLI) logs $(call quoted,$(CHUNK)) $(call flag,$(ALL),--all) $(call flag,$(JSON),--json)

replay: .venv/run.stamp  ## queue GRAPH's dead letters again (LAYER=n, CHUNK="L X Y Z, …", DRY=1)
	@$(CLI) replay $(if $(LAYER),$(call quoted,$(LAYER))) $(call option,$(CHUNK),--chunk) $(call flag,$(DRY),--dry-run)

discard: .venv/run.stamp  ## give up dead letters of GRAPH (LAYER=n or CHUNK="L X Y Z, …", YES=1)
	@$(CLI) discard $(if $(LAYER),$(call quoted,$(LAYER))) $(call option,$(CHUNK),--chunk) $(call flag,$(YES),--yes)

pause: .venv/run.stamp  ## begin no more chunks of GRAPH
	@$(CLI) pause

resume: .venv/run.stamp  ## go on with GRAPH, whatever was paused or lost
	@$(CLI) resume $(call option,$(TRUTH),--truth)

reset: .venv/run.stamp  ## drop GRAPH's progress and messages, not its table (YES=1)
	@$(CLI) reset $(call flag,$(YES),--yes)

upgrade: .venv/run.stamp  ## make GRAPH's table of schema 2 one of schema 3, or go on with that
	@$(CLI) upgrade $(call option,$(TRUTH),--truth)

# What names an image: all that goes into it, so that a change of the code is a change of the name.
CONTENT = find Dockerfile requirements.txt constraints.txt shared jobs -type f -not -path '*/__pycache__/*' -not -path 'jobs/example/*' -not -path 'jobs/look/*'
TAG = $(shell $(CONTENT) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
IMAGE ?= $(REGION)-docker.pkg.dev/$(PROJECT)/$(INSTALLED)/ingest:$(TAG)
NEED_PROJECT = $(if $(PROJECT),,$(error PROJECT is not given: which Google Cloud project?))
TERRAFORM ?= terraform
# Without the variable: a program in terraform's place may look at it too, and find itself. ./ is no matter of CDPATH.
TF = cd ./terraform && env -u TERRAFORM $(TERRAFORM)
# Only what was said: terraform.tfvars may say otherwise, and a region by default would move everything.
SAID = $(if $(filter $(1),$(SAID_HERE)),-var $(2)=$(call quoted,$($(1))))
VARS = -var project=$(call quoted,$(PROJECT)) $(call SAID,REGION,region) $(call SAID,PREFIX,prefix)

tfvars: .venv/run.stamp  ## write terraform's variables of DATASET
	$(NEED_DATASET)@$(CLI) plan $(call quoted,$(DATASET)) $(RAW_OPTION) $(call option,$(SAMPLE),--sample) --tfvars --out terraform/dataset.auto.tfvars.json

bundles: .venv/run.stamp  ## write the functions' sources, as they are deployed, below build/functions
	@$(PYTHON) -m functions.bundle

image:  ## build the jobs' image with Cloud Build and push it (PROJECT, REGION)
	$(NEED_PROJECT)gcloud builds submit --project=$(call quoted,$(PROJECT)) --region=$(call quoted,$(REGION)) \
	  --config=cloudbuild.yaml --substitutions=_IMAGE=$(call quoted,$(IMAGE)) \
	  --gcs-source-staging-dir=$(call quoted,gs://$(PROJECT)-$(INSTALLED)-source/image) \
	  --service-account=$(call quoted,projects/$(PROJECT)/serviceAccounts/$(INSTALLED)-build@$(PROJECT).iam.gserviceaccount.com)
	@mkdir -p build && printf '{"image": "%s"}\n' $(call quoted,$(IMAGE)) > build/image.json
	@mv build/image.json terraform/image.auto.tfvars.json && echo "wrote terraform/image.auto.tfvars.json"

# Plans, stops where something would be lost, asks, applies, and remembers where that was.
PHASE = $(PYTHON) -m jobs.deploy $(call flag,$(REPLACE),--replace) $(call flag,$(YES),--yes) -- $(VARS)

# A Job cannot be made of an image that is not there, so what the build needs comes first. Before it the one service
# that the others are switched on by; after it, and before it is granted anything, Pub/Sub's own account.
deploy: tfvars bundles  ## make all that DATASET needs in PROJECT: image, queues, jobs, functions (REGION, YES=1)
	$(NEED_PROJECT)$(if $(call on,$(ANYWAY)),,$(DOCTOR) --for deploy)
	gcloud services enable cloudresourcemanager.googleapis.com --project=$(call quoted,$(PROJECT))
	$(TF) init -input=false
	$(PHASE) -target=time_sleep.build_grants
	gcloud beta services identity create --quiet --service=pubsub.googleapis.com --project=$(call quoted,$(PROJECT))
	$(MAKE) image
	$(PHASE)

update: bundles image  ## bring changed code to what is deployed in PROJECT: image, jobs, functions (YES=1)
	$(PHASE)

down: .venv/run.stamp  ## end the local emulators
	@$(CLI) down

LINT = $(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && $(PYTHON) -m mypy --num-workers auto
# Processes take files in turn, the long ones first: tests/sharing_out.py says what stays together. Two more than this
# machine has cores, as much of what tests do is to wait. They are isolated from the environment, too.
PROCESSES = $(shell echo $$(($$(nproc) + 2)))
TESTS = $(PYTHON) -m pytest --tx '$(PROCESSES)*popen//python=$(PYTHON)' --dist loadscope --no-loadscope-reorder

check: .venv/dev.stamp  ## lint, types, unit and property tests: what one runs before each commit
	@$(LINT)
	@$(TESTS) tests/unit tests/property

# A browser for its tests; only CI has it installed where it is missing.
.PHONY: browser
browser:
	@sh jobs/local/browser.sh

test: .venv/dev.stamp browser  ## lint, types and all tests (COVERAGE=1: which lines none of them runs)
	@$(LINT)
	@$(TESTS) $(call flag,$(COVERAGE),--cov --cov-report=term-missing:skip-covered --cov-report=html:build/coverage)

bench: .venv/dev.stamp build/example/truth.npz  ## measure speed on the example; build/bench.json
	@$(PYTHON) -m tests.benchmarks

.PHONY: screenshots
screenshots: .venv/dev.stamp build/example/truth.npz  ## take the pictures of the documents anew, with Chromium
	@$(PYTHON) -m tests.browser.screenshots

soak: .venv/dev.stamp  ## run after run with killed workers and broken connections (MINUTES=60)
	@$(PYTHON) -m tests.faults.soak $(call quoted,$(or $(MINUTES),60))

clean:  ## end the local emulators, and remove the environment and everything built
	@test ! -e build/local/emulators.json || $(CLI) down || echo "emulators that still run are left to themselves" >&2
	rm -rf .venv build
