# Every target creates the environment that it needs. Python 3.11 or later, make and git must be installed.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
STAMP  := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
export UV_SYSTEM_CERTS ?= 1

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(STAMP) ## Run the main scenario on this machine, without a cluster (KEEP=1 leaves everything running)
	@$(BIN)/python -m examples.demo $(if $(KEEP),--keep)

# Each process has its own servers. A process that has no tests left takes tests of another process.
# Tests often wait (for servers, Leases, pods), so two cores can run more processes than two.
.PHONY: test
test: $(STAMP) ## Run unit, contract and local tests: real Feast, MLflow, PostgreSQL (WORKERS=3 processes)
	@$(PYTEST) -q -n $(or $(WORKERS),3) --dist worksteal \
	  $(if $(filter tests/%,$(ARGS)),,tests/unit tests/contract tests/local) $(ARGS)

.PHONY: bare
bare: ## Time make demo and make test in a Debian that has only Python, git and make (needs root)
	@tests/bare

# KUBECONFIG is read from make's command line only: in the environment it often names a cluster in use.
# On an existing cluster only one process runs: two would install the same objects at the same time.
EXISTING := $(if $(findstring command,$(origin KUBECONFIG)),$(KUBECONFIG))
UNJUDGED := the permissions of the chart were not compared with the requests: only a run of the whole suite does that
.PHONY: test-cluster
test-cluster: $(STAMP) ## Run the tests on a real API server, etcd and controllers (KUBECONFIG=… uses an existing cluster)
	@failed=0; \
	$(if $(EXISTING),FEATURE_LINEAGE_TEST_KUBECONFIG="$(EXISTING)") \
	  $(PYTEST) -q -n $(if $(EXISTING),0,$(or $(WORKERS),4)) --dist worksteal \
	  $(if $(filter tests/%,$(ARGS)),,tests/cluster) $(ARGS) || failed=$$?; \
	$(if $(EXISTING)$(ARGS),echo "$(UNJUDGED)",$(PYTEST) -q tests/cluster/rbac_coverage || failed=$$?); \
	exit $$failed

# Each process runs in its own sandbox, with its own servers. With three processes on two cores, an
# operator lost its Lease: ten pods that started at once left too little time for an API server.
.PHONY: e2e
e2e: $(STAMP) ## Run the tests in real pods on a real node, in a sandbox (needs root)
	@tests/e2e/sandbox true
	@for needed in tests.cluster.binaries tests.cluster.gitops.judging tests.e2e.images; do \
	  $(BIN)/python -m $$needed >/dev/null; done
	@$(PYTEST) -q --dist load --maxschedchunk 1 --tx '$(or $(WORKERS),2)*popen//python=tests/e2e/sandbox $(BIN)/python' \
	  $(if $(filter tests/%,$(ARGS)),,tests/e2e) $(ARGS)

.PHONY: check
check: $(STAMP) ## Check format, lint, strict types and layers
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --config .importlinter >/tmp/lint-imports.$$$$ || { cat /tmp/lint-imports.$$$$; exit 1; }; rm -f /tmp/lint-imports.$$$$
	@echo "check: format, lint, types and layers are clean"

.PHONY: fmt
fmt: $(STAMP) ## Format the code
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .

.PHONY: bench
bench: $(STAMP) ## Print the benchmarks, each beside its baseline
	@$(BIN)/python -m benchmarks $(ARGS)

# Not a part of the gate: it takes some minutes, and the gate checks that the tables fit the code.
.PHONY: mutants
mutants: $(STAMP) ## Remove each protection in a copy, and require that its tests fail (ARGS=--help)
	@$(BIN)/python -m tests.mutants $(ARGS)

.PHONY: probed-stores
probed-stores: $(STAMP) ## Probe generated stores that are right: no false alarm (STORES=200; the gate tries 10)
	@PROBED_STORES=$(or $(STORES),200) $(PYTEST) -q -n 2 tests/contract/runner/test_right_stores.py $(ARGS)

# The gate reads a few inputs of each parser (tests/unit/test_fuzz_targets.py). This target runs for hours.
.PHONY: fuzz
fuzz: $(STAMP) ## Feed each parser with hostile input (SECONDS=600 for each; ARGS="report timeline" selects)
	@nice -n 19 $(BIN)/python -m tests.fuzz $(if $(findstring command,$(origin SECONDS)),--seconds $(SECONDS)) $(ARGS)

.PHONY: crds
crds: $(STAMP) ## Generate crds/ from the pydantic models, and the copy in the chart
	@$(BIN)/feature-lineage crds --output-dir crds
	@cp crds/*.yaml charts/feature-lineage-operator/files/crds/

.PHONY: docs
docs: $(STAMP) ## Generate the tables of docs/
	@$(BIN)/python docs/generate.py

.PHONY: chart
chart: $(STAMP) ## Generate the chart's copies and tables, lint it, package it into dist/
	@$(BIN)/python charts/generate.py
	@helm=$$($(BIN)/python -m tests.cluster.binaries helm); \
	  $$helm lint --strict --quiet charts/feature-lineage-operator; \
	  $$helm template charts/feature-lineage-operator >/dev/null; \
	  $$helm package charts/feature-lineage-operator --destination dist

LOCK = $(UV) pip compile -q --upgrade --universal --generate-hashes --no-annotate --no-emit-index-url --no-header \
  --python-version 3.11
.PHONY: lock
lock: | $(UV) ## Resolve the locked dependencies again, also those of the image builds
	@for lock in operator: runner:--extra=runner dev:--extra=dev; do \
	  $(LOCK) $${lock#*:} pyproject.toml -o requirements/$${lock%%:*}.txt; done
	@printf 'uv\nhatchling\ncyclonedx-python-lib\n' | $(LOCK) --constraint requirements/dev.txt - -o images/tools.txt
	@echo pip-audit | $(LOCK) --constraint requirements/dev.txt - -o requirements/audit.txt

# Not a part of the gate: the database changes without a commit, and the machine of the gate may not reach the database.
.PHONY: audit
audit: .tools/audit/.installed ## Look up the locked packages in a database of vulnerabilities (ARGS go to pip-audit)
	@requirements/audit .tools/audit/bin/pip-audit $(ARGS)

.PHONY: images
images: ## Build the container images into archives (BASE=, EXTRAS=, TAG=, IMAGES=: see images/build)
	@images/build $(IMAGES)

.PHONY: clean
clean: ## Remove the files that the targets created
	@rm -rf $(VENV) .tools .demo .fuzz dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# uv is installed from the package index if this machine has none.
.tools/bin/uv:
	@$(PYTHON) -m venv .tools || { echo "make: $(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@.tools/bin/python -m pip install -q --disable-pip-version-check uv

.tools/audit/.installed: requirements/audit.txt | $(UV)
	@$(UV) venv -q --allow-existing --python "$$(command -v $(PYTHON))" .tools/audit
	@$(UV) pip sync -q -p .tools/audit --require-hashes requirements/audit.txt
	@touch $@

$(STAMP): requirements/dev.txt pyproject.toml | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "make: Python 3.11, 3.12 or 3.13 is needed, $$($(PYTHON) --version) was found; name another with PYTHON=" >&2; exit 1; }
	@$(UV) venv -q --allow-existing --python "$$(command -v $(PYTHON))" $(VENV)
	@$(UV) pip sync -q --compile-bytecode -p $(VENV) --require-hashes requirements/dev.txt
	@$(UV) pip install -q -p $(VENV) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q operator
	@touch $@
