# What people call and what CI calls. Needs a Rust toolchain, Python 3.11 or later, and the network for the first set-up.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PACKAGES := torch==2.13.0 numpy==2.4.6 pyarrow==26.0.1 pytest==9.2.0 maturin==1.16.0 \
	torchdata==0.11.0 lightning==2.6.6 transformers==5.23.0 accelerate==1.15.0 torchmetrics==1.0.3 tensordict==0.15.3 pyre-extensions==0.0.32 \
	ray==2.60.0 kubernetes-validate==1.37.0 pyyaml==6.0.3
# Their requirements would bring the CUDA build of fbgemm; what else they need is above.
PACKAGES_ALONE := torchrec==1.9.2 fbgemm-gpu-cpu==1.8.0

VENV := .venv
WHEELS := build/wheels

# An S3 server over a folder, for tests. 0.15 needs a newer rustc.
S3_SERVER := build/tools/bin/s3s-fs
S3_SERVER_VERSION := 0.14.1

# Reads deny.toml. Takes about ten minutes to build, so `test` does without: a test holds the same rules of licences, bans and sources.
DENY := build/tools/bin/cargo-deny
DENY_VERSION := 0.20.2

# What `bench` compares with, apart from .venv, so that tests need none of it.
PEERS := build/peers-packages
POLARS_VERSION := 2.1.0

PRINT_LIBTORCH := import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))

# Whatever the wheel is made of.
SOURCES := Cargo.toml Cargo.lock $(shell find proto dpp-* -type f \
	\( -name '*.rs' -o -name '*.proto' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi' \) -not -path '*/tests/*')

# Tests run in their crates' folders, so a relative path would lead nowhere.
ifneq ($(DPP_TEST_DATA),)
override export DPP_TEST_DATA := $(abspath $(DPP_TEST_DATA))
else
unexport DPP_TEST_DATA
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup wheel demo bench instructions test lint test-rust test-python deny note-missing-data clean

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

setup: $(VENV)/wheel ## Make .venv with PyTorch, the test tools and the release wheel

wheel: $(WHEELS)/built ## Build the release wheel into build/wheels

demo: setup ## Train a small DLRM on-box and through workers, one of them killed; DPP_DATA=path or URL of a table
	$(VENV)/bin/python examples/3_train_dlrm.py

bench: setup $(S3_SERVER) $(PEERS)/polars ## All figures, and peers beside them, into build/bench: lines, plots, a table against the gates
	cargo build --release --locked -p dpp-benches --bin figures
	$(VENV)/bin/python benches/report.py --packages $(PEERS)

test: lint test-rust test-python ## Lint, Rust tests, Python tests; DPP_TEST_DATA=folder of real tables

lint: ## Formatting and clippy
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

test-rust: $(VENV)/packages $(S3_SERVER) note-missing-data ## Rust tests; those of the `tch` feature against the venv's libtorch
	cargo test --locked --workspace --no-fail-fast
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" LIBTORCH_USE_PYTORCH=1 LD_LIBRARY_PATH="$$($(VENV)/bin/python -c '$(PRINT_LIBTORCH)')" \
		cargo test --locked -p dpp-client --features tch --test tch

test-python: setup $(S3_SERVER) note-missing-data ## Python tests, on the release wheel
	$(VENV)/bin/python -m pytest --quiet dpp-client/python/tests

instructions: ## What hot kernels take, counted by valgrind, against what is kept; KEEP=1 keeps what they take now
	cargo bench --locked -p dpp-micro --bench instructions -- $(if $(KEEP),--keep)

deny: $(DENY) ## What dependencies may be (licences, bans, sources) and what is known against them (advisories: asks github.com)
	$(DENY) --locked check

# Says loudly what the tests leave out.
note-missing-data:
	@if [[ -z "$${DPP_TEST_DATA:-}" ]]; then \
		echo "NOT TESTED: real tables and conformance files. DPP_TEST_DATA is not set; give it the folder that holds jd/ and op_vectors.json." >&2; \
	fi

clean: ## Remove everything that was built
	rm -rf build target $(VENV)

# Stamps: each is as new as the last time its step was done.

$(VENV)/packages: Makefile
	[[ -x $(VENV)/bin/python ]] || "$(PYTHON)" -m venv $(VENV)
	@echo "installing $(PACKAGES) into $(VENV): some minutes the first time"
	$(VENV)/bin/python -m pip install --quiet $(PACKAGES)
	$(VENV)/bin/python -m pip install --quiet --no-deps $(PACKAGES_ALONE)
	touch $@

$(WHEELS)/built: $(VENV)/packages $(SOURCES)
	rm -rf $(WHEELS)
	$(VENV)/bin/maturin build --release --locked --manifest-path dpp-client/python/Cargo.toml \
		--interpreter $(VENV)/bin/python --out $(WHEELS)
	touch $@

$(S3_SERVER):
	cargo install --quiet --locked --root build/tools --version $(S3_SERVER_VERSION) --features binary s3s-fs

$(PEERS)/polars: | $(VENV)/packages
	$(VENV)/bin/python -m pip install --quiet --target $(PEERS) polars==$(POLARS_VERSION)

$(DENY):
	cargo install --quiet --locked --root build/tools --version $(DENY_VERSION) cargo-deny

$(VENV)/wheel: $(WHEELS)/built
	$(VENV)/bin/python -m pip install --quiet --no-deps --force-reinstall $(WHEELS)/*.whl
	touch $@
