# Everything a person types. `make demo` and `make test` do all their own set-up on a machine with Rust.
#
# Every build names the whole workspace and includes what tests need (`--examples`): cargo unifies features over what it
# is asked to build, and another selection would compile the WebAssembly compiler a second time.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET)/debug
COMPONENTS := $(TARGET)/components
TRANSFORMS := $(notdir $(patsubst %/Cargo.toml,%,$(wildcard transforms/*/Cargo.toml)))
BUILD := $(CARGO) build --locked --workspace --bins --examples

.PHONY: help build components demo test unit lint failpoints simulate crash crash-matrix sabotage power-cut languages \
  neighbours soak load fuzz-api bench-whole bench-ledger whole-peers release

help: ## Show what can be typed
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the engine, the simulators and the proofs
	$(BUILD)

components: build ## Build the transforms into components (prepares the guest toolchain)
	@for name in $(TRANSFORMS); do \
	  $(BIN)/crossdock build transforms/$$name --install-toolchain --output $(COMPONENTS)/$$name.wasm || exit 1; \
	done

demo: components ## Move 2,800 documents of three schemes, kill the engine in the middle, show that the books balance
	$(BIN)/demo

test: components unit failpoints crash-matrix lint ## Everything that CI checks
	$(BIN)/examples/power_cut --cuts 5

unit: components ## Unit, contract and end-to-end tests, natively and against the simulators
	$(CARGO) test --locked --workspace
	cd transforms && $(CARGO) test --locked

failpoints: ## The store's fail points, in a build that has them
	$(CARGO) test --locked --workspace --features crossdock/failpoints --test store_fail_points --test rewrite_fail_points

simulate: ## 10,000 seeds of the simulation, on every core; a red one prints its story
	$(CARGO) test --locked --workspace --lib --no-run
	@cores=$$(nproc); part=0; pids=; while [ $$part -lt $$cores ]; do \
	  CROSSDOCK_SIM_SEEDS=10000 CROSSDOCK_SIM_SHARD=$$part/$$cores \
	    $(CARGO) test --locked --workspace --lib simulation::tests::nothing & pids="$$pids $$!"; part=$$((part + 1)); \
	done; red=0; for pid in $$pids; do wait $$pid || red=1; done; exit $$red

lint: ## Formatting and lints
	$(CARGO) fmt --all --check
	cd transforms && $(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

crash: components ## Kill an engine of three schemes 200 times at random; nothing may be lost or doubled
	$(BIN)/crash --kills 200

crash-matrix: components ## Kill the engine at every named instant before and after each effect, in each scheme
	$(BUILD) --features crossdock/failpoints
	mkdir -p $(TARGET)/sabotage && cp $(BIN)/crossdock $(TARGET)/sabotage/crossdock
	$(BUILD)
	$(BIN)/crash --matrix --engine $(TARGET)/sabotage/crossdock

sabotage: components ## Break each promise on purpose and see the crash test turn red
	$(BUILD) --features crossdock/failpoints
	mkdir -p $(TARGET)/sabotage && cp $(BIN)/crossdock $(TARGET)/sabotage/crossdock
	$(BUILD)
	$(BIN)/crash --expect-red --engine $(TARGET)/sabotage/crossdock

fuzz-api: components ## Let schemathesis loose on the HTTP API of a real engine, with a token that may do everything
	$(CARGO) test --locked --workspace --test verifiers schemathesis

languages: components ## Print what a mapping costs in Rust, JavaScript and Python (docs/guides/languages.md)
	$(BIN)/crossdock build guest-sdk/javascript/examples/jushuitan-saleout-to-k3cloud --output $(TARGET)/languages/javascript.wasm
	$(BIN)/crossdock build guest-sdk/python/examples/jushuitan_saleout_to_k3cloud --output $(TARGET)/languages/python.wasm
	$(BIN)/examples/language_table $(BIN)/crossdock transforms/jushuitan-saleout-to-k3cloud \
	  Rust=$(COMPONENTS)/jushuitan-saleout-to-k3cloud.wasm JavaScript=$(TARGET)/languages/javascript.wasm \
	  Python=$(TARGET)/languages/python.wasm

neighbours: components ## Measure a tenant's latency beside another one's endless loops, floods and a gigabyte of rejects
	$(BIN)/neighbours

soak: components ## Five minutes of load with faults, a backlog of a million, ten gigabytes of rejects; draws target/soak/*.svg
	$(BIN)/soak --picture $(TARGET)/soak/soak.svg
	$(BIN)/soak --backlog 1000000 --picture $(TARGET)/soak/backlog.svg
	$(BIN)/neighbours --rounds 2 --mebibytes 10000

load: components ## 6,000 documents as fast as they go; draws target/soak/load.svg
	$(BIN)/soak --at-once --documents 6000 --picture $(TARGET)/soak/load.svg

power-cut: build ## 20 simulated power cuts (as root; says so loudly where it cannot run)
	$(BIN)/examples/power_cut --cuts 20

WHOLE := tests/bench/whole
PEERS := $(abspath $(TARGET))/bench-whole
FAUCET := 1.17.0

release: components ## Build everything as it is measured
	$(CARGO) build --locked --release --workspace --bins --examples

whole-peers: components ## Install what Crossdock is measured beside, under target/bench-whole
	CARGO_TARGET_DIR=$(PEERS) $(CARGO) build --locked --release --manifest-path $(WHOLE)/native/Cargo.toml
	cd $(WHOLE)/node && npm ci --no-audit --no-fund
	for name in asyncio dlt; do \
	  python3 -m venv $(PEERS)/$$name && $(PEERS)/$$name/bin/pip install --quiet --disable-pip-version-check --no-deps \
	    --require-hashes -r $(WHOLE)/python/requirements-$$name.txt || exit 1; \
	done
	CARGO_TARGET_DIR=$(PEERS) $(CARGO) build --locked --release --target wasm32-unknown-unknown --manifest-path $(WHOLE)/faucet/mapping/Cargo.toml
	$(CARGO) install faucet-cli --version =$(FAUCET) --locked --ignore-rust-version --no-default-features \
	  --features source-rest,sink-http,transform-wasm --target-dir $(PEERS)/faucet --root $(PEERS) \
	  || echo "whole-peers: faucet-cli $(FAUCET) IS NOT INSTALLED: the reason is above; it asks for Rust 1.99" >&2

bench-whole: release whole-peers ## Compare the whole way with what people use instead; writes docs/benchmarks/whole.md and whole.svg
	$(TARGET)/release/whole --peers $(PEERS) --components $(COMPONENTS) --output docs/benchmarks/whole.md $(WHOLE_ARGUMENTS)

bench-ledger: release ## Crossdock alone over 10,000 and 1,000,000 documents (or DOCUMENTS=10000000): what a larger ledger costs
	for documents in 10000 $(or $(DOCUMENTS),1000000); do \
	  $(TARGET)/release/whole --only crossdock --rounds 1 --slow-documents 0 --documents $$documents --components $(COMPONENTS) || exit 1; \
	done
