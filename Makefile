# `make` alone lists the targets. Each sets itself up first: a virtual environment in .venv, the package
# built from the Rust sources, its dependencies. The files .venv/.made, .demo and .dev are time stamps.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint format bench bench-c2 dev dist clean prerequisites

# rustup puts cargo here; a shell opened before the installation does not have it on its path.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
PY := $(BIN)/python
RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
RUST_MAJOR := $(word 1,$(subst ., ,$(RUST_VERSION)))
RUST_MINOR := $(word 2,$(subst ., ,$(RUST_VERSION)))

RUST_FILES := Cargo.toml $(wildcard Cargo.lock) $(shell find rust -name target -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)
PYTHON_FILES := $(shell find python -name '*.py' -o -name '*.pyi')

# The demo runs in an installation like a user's, unless .venv holds or is about to hold one for development.
INSTALLED := demo
ifneq ($(wildcard $(VENV)/.dev)$(filter test lint format bench bench-c2 dev,$(MAKECMDGOALS)),)
INSTALLED := dev
endif

help:
	@echo "make demo    run the demo: alice, bob and eve on a real MQTT broker (DEMO_ARGS=... for e4 demo)"
	@echo "make test    run all tests (PYTEST_ARGS=... for pytest)"
	@echo "make lint    check style, types, floors and lints of Python and Rust"
	@echo "make format  format Python and Rust"
	@echo "make bench   measure, side by side with the reference backend"
	@echo "make bench-c2 measure the key server (needs mosquitto; some minutes)"
	@echo "make dev     set up $(VENV) for development"
	@echo "make dist    write a source distribution and a wheel of this machine to dist/"
	@echo "make clean   remove everything that is built"

demo: $(VENV)/.$(INSTALLED)
	$(BIN)/e4 demo $(DEMO_ARGS)

test: $(VENV)/.dev
	cargo test --package e4-core
	$(PY) -m pytest -n auto -p no:benchmark $(PYTEST_ARGS)

lint: $(VENV)/.dev
	@$(call check-component,fmt,rustfmt)
	@$(call check-component,clippy,clippy)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PY) -m mypy.stubtest e4._native
	$(BIN)/lint-imports --no-logo
	cargo fmt --all --check
	PYO3_PYTHON=$(abspath $(PY)) cargo clippy --workspace --all-targets -- -D warnings

format: $(VENV)/.dev
	@$(call check-component,fmt,rustfmt)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	cargo fmt --all

bench: $(VENV)/.dev
	$(PY) -m benches $(BENCH_ARGS)

bench-c2: $(VENV)/.dev
	$(PY) -m benches.c2 $(BENCH_ARGS)

dev: $(VENV)/.dev
	@echo "$(VENV) is ready: '. $(BIN)/activate' puts e4, pytest, ruff and mypy on the path"

dist: $(VENV)/.dev
	$(BIN)/maturin build --release --sdist --out dist

clean:
	rm -rf $(VENV) target dist .hypothesis .benchmarks .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find python -name '_native*.so' -delete -o -name '_native*.pyd' -delete
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +

# As a user installs it: a built copy, with what the demo needs.
$(VENV)/.demo: $(VENV)/.made pyproject.toml $(RUST_FILES) $(PYTHON_FILES) | prerequisites
	@rm -f $(VENV)/.dev
	$(PY) -m pip install --quiet '.[demo,c2]'
	@touch $@

# For development: the Python sources in place, the native module beside them, everything in the extra "dev".
# The build tool comes first and into the same environment, so that a rebuild needs no network.
$(VENV)/.dev: $(VENV)/.made pyproject.toml $(RUST_FILES) | prerequisites
	@rm -f $(VENV)/.demo
	$(PY) -m pip install --quiet 'maturin>=1.10,<2'
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PY) -m pip install --quiet --no-build-isolation --editable '.[dev]'
	@touch $@

$(VENV)/.made: | prerequisites
	@"$(PY)" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	$(find-python); echo "$$python -m venv $(VENV)"; "$$python" -m venv --clear $(VENV); }
	@touch $@

fail = { echo "error: $(1)" >&2; exit 1; }

prerequisites:
	@$(check-rust)

# The first Python that is new enough. Each is run, not only found: a version manager's shim may lead nowhere.
define find-python
python=; for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
  if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$p; break; fi; \
done; \
[ -n "$$python" ] \
  || $(call fail,Python 3.11 or newer is missing: install it from your system or https://www.python.org/downloads/); \
"$$python" -c 'import venv, ensurepip' >/dev/null 2>&1 \
  || $(call fail,$$python has no venv module: install it (on Debian and Ubuntu: apt-get install python3-venv))
endef

define check-rust
command -v cargo >/dev/null 2>&1 \
  || $(call fail,Rust is missing: install Rust $(RUST_VERSION) or newer from https://rustup.rs/); \
version=$$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p'); \
[ -n "$$version" ] && cargo --version >/dev/null 2>&1 \
  || $(call fail,Rust does not run: install Rust $(RUST_VERSION) or newer from https://rustup.rs/); \
[ "$${version%%.*}" -gt "$(RUST_MAJOR)" ] || [ "$${version##*.}" -ge "$(RUST_MINOR)" ] \
  || $(call fail,Rust $$version is too old: install Rust $(RUST_VERSION) or newer (with rustup: rustup update stable)); \
[ "$(OS)" = Windows_NT ] || command -v cc >/dev/null 2>&1 \
  || $(call fail,Rust needs a C linker and there is no cc: install one (on Debian and Ubuntu: apt-get install build-essential))
endef

check-component = cargo $(1) --version >/dev/null 2>&1 \
  || $(call fail,cargo $(1) is missing: install it (rustup component add $(2)))
