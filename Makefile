PYTHON ?= python3
PORT ?= 8000
API_KEY ?= test-key
export API_KEY

BIN := .venv/bin
PIP := -m pip install -qq --disable-pip-version-check --no-deps
INSTALL := $(BIN)/python locks/install.py --no-deps
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help .venv run train quality bench bench-gpu sample test fuzz docker-test lint format lock audit licences sbom clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z.][^:]*:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: $(INSTALLED) ## Make the virtual environment from the hashed locks

# uv installs the locks, or pip where there is no wheel of uv for this machine, or no way to it (locks/install.py).
# torch comes as a CPU build: from a local wheel directory (pip's find-links) if one is configured, else from
# PyTorch's own index. The last resort is the default index, where the Linux wheel needs the CUDA packages.
$(INSTALLED): pyproject.toml locks/uv.txt locks/torch-cpu.txt locks/torch.txt locks/local.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("Python 3.11 to 3.13 is needed: make PYTHON=python3.11")'
	@echo "Installing into .venv (a minute the first time; more on a slow network, or without uv) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python $(PIP) --require-hashes -r locks/uv.txt 2>/dev/null || echo "uv cannot be had: pip takes longer ..."
	@$(INSTALL) --require-hashes -r locks/torch-cpu.txt --no-index 2>/dev/null \
	  || $(INSTALL) --require-hashes -r locks/torch-cpu.txt --index-url https://download.pytorch.org/whl/cpu 2>/dev/null \
	  || $(INSTALL) --require-hashes -r locks/torch.txt -r locks/torch-cuda.txt
	@$(INSTALL) --require-hashes -r locks/local.txt
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

run: $(INSTALLED) ## Start the whole system on this machine (PORT=8000, API_KEY=test-key)
	@$(BIN)/fraud up --port $(PORT)

train: $(INSTALLED) ## Train a new version of the default model into model_store/
	@$(BIN)/fraud train

quality: $(INSTALLED) ## Measure the network beside its rivals: half an hour (QUALITY_FLAGS="--only cards")
	@$(INSTALL) --require-hashes -r locks/benchmarks.txt
	@$(BIN)/python -m benchmarks.quality $(QUALITY_FLAGS)

bench: $(INSTALLED) ## Measure the service beside its peers: 25 minutes (BENCH_FLAGS=--ours, or --page for the docs)
	@$(BIN)/python -m benchmarks.comparison $(BENCH_FLAGS)

bench-gpu: $(INSTALLED) ## Measure the model on a GPU, if there is one
	@$(BIN)/python -m benchmarks.gpu

sample: $(INSTALLED) ## Write examples/transactions.csv, transactions that training never saw
	@$(BIN)/fraud sample

test: $(INSTALLED) ## Run every test (TEST_FLAGS="-k gate"; other trainings: TRAIN_SEED=3 TRAIN_THREADS=1 make test)
	@$(BIN)/pytest -n 3 --dist loadgroup $(TEST_FLAGS)

fuzz: $(INSTALLED) ## Ask a gateway for all that its OpenAPI document promises: two minutes (FUZZ_SECONDS=60)
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python $(PIP) --require-hashes -r locks/uv.txt 2>/dev/null || true
	@.venv-fuzz/bin/python locks/install.py --no-deps --require-hashes -r locks/fuzz.txt
	@FUZZ=$(CURDIR)/.venv-fuzz/bin/schemathesis $(BIN)/pytest -n 0 -s tests/fuzz

docker-test: $(INSTALLED) ## Build the images and run every test of the compose stack (needs Docker and compose)
	@DOCKER_TEST=1 $(BIN)/pytest -n 0 --timeout 3600 -s tests/docker

lint: $(INSTALLED) ## Check style, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(INSTALLED) ## Format the code and apply the safe fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## Regenerate locks/ from pyproject.toml (LOCK_FLAGS=--upgrade takes the newest versions)
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python $(PIP) --require-hashes -r locks/uv.txt
	@locks/compile .venv-lock/bin/uv $(LOCK_FLAGS)

audit: $(INSTALLED) ## Ask PyPI what is known against each package in the locks; fails if one was not checked
	@$(BIN)/python -m locks.audit

licences: $(INSTALLED) ## Write docs/licences.md; fails on a licence that is not accepted
	@$(BIN)/python -m locks.licences

sbom: $(INSTALLED) ## Write build/sbom/, what each image is made of (SBOM_FLAGS=--images asks the built images)
	@$(BIN)/python -m locks.sbom $(SBOM_FLAGS)

clean: ## Remove the virtual environments, caches and build output
	rm -rf .venv .venv-fuzz .venv-lock .venv-peers build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
