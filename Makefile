# Every target is one script; read scripts/ for what it does.

# The FIPS module is always built from source, never taken from the host.
export AWS_LC_FIPS_SYS_USE_SYSTEM := 0

DATA ?= ./data
PORT ?= 8700
PROFILE ?= dev
SECONDS ?= 600
export DATA PORT PROFILE

.DEFAULT_GOAL := help
# Package managers and cargo take locks: one step after the other, whatever -j says.
.NOTPARALLEL:
.PHONY: help setup setup-test setup-bench demo demo-reset build test lint fuzz bench audit-timing screenshots clean

help: ## Show this list
	@echo "Countersign. What you can do here:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

demo: ## Build and start the demo (DATA=./data PORT=8700; PROFILE=release for the fast binary)
	@scripts/demo.sh start

demo-reset: ## Remove what the demo keeps in DATA and start it afresh
	@scripts/demo.sh reset

test: setup setup-test ## Run every test: Rust on SQLite and PostgreSQL, and the browser
	@scripts/test.sh

lint: setup ## Check format, lints, docs, dependencies and licenses
	@scripts/lint.sh

fuzz: setup ## Run each fuzz target for SECONDS=600 (TARGET=name: that one alone; needs cargo-fuzz)
	@scripts/fuzz.sh $(SECONDS) $(TARGET)

build: setup ## Build the countersign binary (target/debug; PROFILE=release for target/release)
	cargo build --locked --profile $(PROFILE) -p countersign

screenshots: setup setup-test ## Remake docs/screenshots with the browser tests
	cargo build --locked --workspace --all-targets --features countersign/demo
	@SCREENSHOTS=1 scripts/test-browser.sh

bench: setup setup-bench ## Measure passcode checks per second beside the limits of this machine
	@scripts/bench.sh bench

audit-timing: setup ## Compare the answer times of wrong NPI, passphrase and token (minutes)
	@scripts/bench.sh audit-timing

setup: ## Install what building needs (Debian packages, named)
	@scripts/setup.sh

setup-test: ## Install what testing needs (Chromium, PostgreSQL, npm packages)
	@scripts/setup-test.sh

setup-bench: ## Install what measuring needs (PostgreSQL)
	@scripts/setup-bench.sh

clean: ## Remove what was built (the demo's data stays)
	cargo clean
	rm -rf web/node_modules web/authenticator/node_modules
