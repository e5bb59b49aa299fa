# Every target brings its own environment: Python 3.11+, make and git are all it takes.
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
help: ## What there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(STAMP) ## Play the main job on this machine, without a cluster (KEEP=1 leaves it running)
	@$(BIN)/python -m examples.demo $(if $(KEEP),--keep)

# Each process has servers of its own, and takes tests from the others once it has none left. On two
# cores as many are enough to keep them busy, since tests wait: for servers, for leases, for pods.
.PHONY: test
test: $(STAMP) ## Unit and contract tests: real Feast, real MLflow, real PostgreSQL (WORKERS=3 at a time)
	@$(PYTEST) -q -n $(or $(WORKERS),3) --dist worksteal \
	  $(if $(filter tests/%,$(ARGS)),,tests/unit tests/contract tests/local) $(ARGS)

.PHONY: bare
bare: ## Time make demo and make test in a Debian with Python, git and make, no more (needs root)
	@tests/bare

# KUBECONFIG counts on make's command line only: in the environment it names somebody's daily work.
# On a cluster that is there one process is enough: two would install the same into it at once.
EXISTING := $(if $(findstring command,$(origin KUBECONFIG)),$(KUBECONFIG))
UNJUDGED := the permissions of the chart were not compared with what was asked for: the whole suite does that
.PHONY: test-cluster
test-cluster: $(STAMP) ## Tests on a real API server, etcd and controllers (KUBECONFIG=… takes that cluster)
	@failed=0; \
	$(if $(EXISTING),FEATURE_LINEAGE_TEST_KUBECONFIG="$(EXISTING)") \
	  $(PYTEST) -q -n $(if $(EXISTING),0,$(or $(WORKERS),4)) --dist worksteal \
	  $(if $(filter tests/%,$(ARGS)),,tests/cluster) $(ARGS) || failed=$$?; \
	$(if $(EXISTING)$(ARGS),echo "$(UNJUDGED)",$(PYTEST) -q tests/cluster/rbac_coverage || failed=$$?); \
	exit $$failed

# Each process plays in a sandbox of its own, in a world of its own. With a third on two cores, an
# operator lost its Lease: ten pods that start at once leave an API server too little.
.PHONY: e2e
e2e: $(STAMP) ## Scenes in real pods on a real node, in namespaces of their own (needs root)
	@tests/e2e/sandbox true
	@for needed in tests.cluster.binaries tests.cluster.gitops.judging tests.e2e.images; do \
	  $(BIN)/python -m $$needed >/dev/null; done
	@$(PYTEST) -q --dist load --maxschedchunk 1 --tx '$(or $(WORKERS),2)*popen//python=tests/e2e/sandbox $(BIN)/python' \
	  $(if $(filter tests/%,$(ARGS)),,tests/e2e) $(ARGS)

.PHONY: check
check: $(STAMP) ## Format, lint, strict types, layers
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --config .importlinter >/tmp/lint-imports.$$$$ || { cat /tmp/lint-imports.$$$$; exit 1; }; rm -f /tmp/lint-imports.$$$$
	@echo "check: format, lint, types and layers are clean"

.PHONY: fmt
fmt: $(STAMP) ## Rewrite the code into its format
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .

.PHONY: bench
bench: $(STAMP) ## Print the benchmarks, each beside its baseline
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: crds
crds: $(STAMP) ## Write crds/ anew from the pydantic models, and the copy in the chart
	@$(BIN)/feature-lineage crds --output-dir crds
	@cp crds/*.yaml charts/feature-lineage-operator/files/crds/

.PHONY: docs
docs: $(STAMP) ## Write the generated tables of docs/ anew
	@$(BIN)/python docs/generate.py

.PHONY: chart
chart: $(STAMP) ## Write the chart's copies and tables anew, lint it, package it into dist/
	@$(BIN)/python charts/generate.py
	@helm=$$($(BIN)/python -m tests.cluster.binaries helm); \
	  $$helm lint --strict --quiet charts/feature-lineage-operator; \
	  $$helm template charts/feature-lineage-operator >/dev/null; \
	  $$helm package charts/feature-lineage-operator --destination dist

LOCK = $(UV) pip compile -q --upgrade --universal --generate-hashes --no-annotate --no-emit-index-url --no-header \
  --python-version 3.11
.PHONY: lock
lock: | $(UV) ## Resolve the locked dependencies anew, those of the images' builds too
	@for lock in operator: runner:--extra=runner dev:--extra=dev; do \
	  $(LOCK) $${lock#*:} pyproject.toml -o requirements/$${lock%%:*}.txt; done
	@printf 'uv\nhatchling\n' | $(LOCK) --constraint requirements/dev.txt - -o images/tools.txt

.PHONY: images
images: ## Build the container images into archives (BASE=, EXTRAS=, TAG=, IMAGES=: see images/build)
	@images/build $(IMAGES)

.PHONY: clean
clean: ## Remove what the targets made
	@rm -rf $(VENV) .tools .demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# uv is taken from the package index when this machine has none.
.tools/bin/uv:
	@$(PYTHON) -m venv .tools || { echo "make: $(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@.tools/bin/python -m pip install -q --disable-pip-version-check uv

$(STAMP): requirements/dev.txt pyproject.toml | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "make: Python 3.11, 3.12 or 3.13 is needed, $$($(PYTHON) --version) was found; name another with PYTHON=" >&2; exit 1; }
	@$(UV) venv -q --allow-existing --python "$$(command -v $(PYTHON))" $(VENV)
	@$(UV) pip sync -q --compile-bytecode -p $(VENV) --require-hashes requirements/dev.txt
	@$(UV) pip install -q -p $(VENV) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q operator
	@touch $@
