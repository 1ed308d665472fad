# The commands of this repository. A machine with git, a C compiler, Python 3.11+, Rust stable and make needs nothing
# else: every target first installs what it uses, into the checkout. Stamps are named by a hash of their inputs and lie
# in the environment they vouch for, so a second call does nothing that the first one did.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
PYTEST_ARGS ?=
# Outside the checkout: a second clone on this machine compiles the workspace's own crates only.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/atomr-agents/target
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The lock file is binding where nobody is there to commit a new one.
LOCKED := $(if $(CI),--locked,)

WHEELS := .cache/wheels
DEV := .venv
RUN := .venv-run
BENCH := .venv-bench
PY_DIRS := $(wildcard python tests examples benchmarks docs)

hash = $(shell (cat $(1); $(PYTHON) --version) 2>&1 | cksum | cut -d' ' -f1)
# Everything that ends up in the wheel, names included: a file that goes away changes the key too.
wheel_inputs = find crates python Cargo.toml Cargo.lock pyproject.toml requirements-build.txt README.md LICENSE \
	-type f -not -path '*/__pycache__/*' -not -path 'crates/*/tests/*' -not -path 'crates/*/benches/*' 2>/dev/null
WHEEL_KEY := $(shell $(wheel_inputs) | LC_ALL=C sort | xargs cksum | cksum | cut -d' ' -f1)

DEV_ENV := $(DEV)/stamp-$(call hash,requirements-dev.txt requirements-build.txt)
RUN_ENV := $(RUN)/stamp-$(call hash,requirements-build.txt)
BENCH_ENV := $(BENCH)/stamp-$(call hash,benchmarks/requirements-peers.txt)
WHEEL := $(WHEELS)/stamp-$(WHEEL_KEY)

.PHONY: help
help: ## what there is to call
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: $(RUN_ENV)-$(WHEEL_KEY) ## build and install the wheel, then run examples/quickstart.py $(ARGS)
	@$(RUN)/bin/python examples/quickstart.py $(ARGS)

.PHONY: test
test: test-rust test-python ## every test: Rust, doc examples, then Python against the installed wheel

# After the environment of Python is set up: models are run by the ONNX Runtime that is installed there.
.PHONY: test-rust
test-rust: $(DEV_ENV) ## the Rust tests and doc examples
	@$(DEV)/bin/python tests/pgvector_server.py
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run $(LOCKED) --workspace; \
	else \
		cargo test $(LOCKED) --workspace --lib --bins --tests; \
	fi
	cargo test $(LOCKED) --workspace --doc --quiet

.PHONY: test-python
test-python: $(DEV_ENV)-$(WHEEL_KEY) ## the Python tests; PYTEST_ARGS goes to pytest
	@$(DEV)/bin/python tests/embed/minilm_onnx.py
	@$(DEV)/bin/python tests/pgvector_server.py
	$(DEV)/bin/python -m pytest $(PYTEST_ARGS)

.PHONY: soak
soak: ## the tests of durable runs at full length: thousands of kills, every boundary, a million states (two or three hours)
	ATOMR_CRASH_KILLS=1000 ATOMR_CRASH_STEPS=200 ATOMR_CRASH_FIGHTS=25 ATOMR_CRASH_IMAGES=5000 ATOMR_CRASH_FAULTS=2000 \
		ATOMR_STRESS_SECONDS=3600 ATOMR_NETWORK_SEEDS=10000 \
		cargo test $(LOCKED) --profile wheel -p atomr-agents-state-proof -- --nocapture --test-threads 1
	ATOMR_WALK=wide cargo test $(LOCKED) -p atomr-agents-state --lib model_tests
	ATOMR_WORKER_RUNS=500 ATOMR_MODEL_CASES=1000 ATOMR_POSTMASTER_KILLS=20 \
		cargo test $(LOCKED) -p atomr-agents-state-postgres -- --test-threads 1

# Each is a binary of the workspace in `fuzz`, which is apart: its flags would compile everything else anew.
FUZZ_TARGETS := $(patsubst fuzz/fuzz_targets/%.rs,%,$(sort $(wildcard fuzz/fuzz_targets/*.rs)))
SECONDS ?= 60
SANITIZER ?= none

.PHONY: fuzz
fuzz: ## every fuzz target for SECONDS=60 each; ARGS names some of them, SANITIZER=address looks at memory, too
	@cargo fuzz --version >/dev/null 2>&1 || { \
		echo "make fuzz needs a C++ compiler and cargo-fuzz: cargo install --locked cargo-fuzz" >&2; exit 1; }
	@for target in $(or $(ARGS),$(FUZZ_TARGETS)); do \
		echo "fuzzing $$target for $(SECONDS) s"; \
		mkdir -p fuzz/corpus/$$target; \
		RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz \
			cargo fuzz run --sanitizer $(SANITIZER) $$target fuzz/corpus/$$target $$(ls -d fuzz/seeds/$$target 2>/dev/null) -- \
			$$(ls fuzz/dicts/$$target 2>/dev/null | sed 's/^/-dict=/') -max_len=8192 -len_control=10 \
			-max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
			|| { echo "$$target failed: what did it is in fuzz/artifacts/$$target" >&2; exit 1; }; \
	done

.PHONY: bench
bench: $(BENCH_ENV)-$(WHEEL_KEY) ## the benchmarks beside their peers; ARGS names some of them
	$(BENCH)/bin/python benchmarks/run.py $(ARGS)

.PHONY: check
check: check-rust check-python ## format, lints, house rules, docs, types, stubs

.PHONY: check-rust
check-rust: ## rustfmt, clippy, rustdoc, tidy; cargo-deny where it is installed
	cargo fmt --all --check
	cargo xtask tidy
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps --quiet
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --offline check bans licenses sources; \
	else \
		echo "cargo-deny is not installed: of deny.toml, licences, bans and sources were checked by tidy, the rest was not"; \
	fi

.PHONY: check-python
check-python: $(DEV_ENV)-$(WHEEL_KEY) ## ruff, mypy, pyright, and the stubs against the binary
	$(DEV)/bin/ruff check $(PY_DIRS)
	$(DEV)/bin/ruff format --check $(PY_DIRS)
	$(DEV)/bin/mypy
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(DEV)/bin/pyright
	MYPYPATH=python $(DEV)/bin/stubtest --mypy-config-file pyproject.toml atomr_agents._native

.PHONY: fmt
fmt: $(DEV_ENV) ## format everything, and write the crate map
	cargo fmt --all
	cargo xtask tidy --fix
	$(DEV)/bin/ruff check --fix-only --quiet $(PY_DIRS)
	$(DEV)/bin/ruff format --quiet $(PY_DIRS)

.PHONY: clean
clean: ## remove what these commands put into the checkout (the cargo target directory stays)
	rm -rf .cache $(DEV) $(RUN) $(BENCH) .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/results
	find $(PY_DIRS) -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments ------------------------------------------------------------------------------------------------------

# $(1) stamp, $(2) environment, $(3) requirements: the environment, then the environment with this wheel in it. An
# order-only prerequisite, because the stamp's name already says which requirements it stands for.
define environment
$(1): | $(3)
	@echo "setting up $(2)"
	@rm -f $(2)/stamp-*
	@test -x $(2)/bin/python || $(PYTHON) -m venv $(2)
	@$(2)/bin/python -m pip install --quiet --requirement $(3)
	@touch $$@

$(1)-$(WHEEL_KEY): $(WHEEL) | $(1)
	@rm -f $(1)-*
	@$(2)/bin/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/*.whl
	@touch $$@
endef

$(eval $(call environment,$(DEV_ENV),$(DEV),requirements-dev.txt))
$(eval $(call environment,$(RUN_ENV),$(RUN),requirements-build.txt))
$(eval $(call environment,$(BENCH_ENV),$(BENCH),benchmarks/requirements-peers.txt))

$(WHEEL): | $(RUN_ENV)
	@rm -rf $(WHEELS)
	@echo "building the wheel"
	@$(RUN)/bin/maturin build $(LOCKED) --profile wheel --out $(WHEELS) --quiet
	@touch $@
