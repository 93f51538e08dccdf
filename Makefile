# Everything a person types. `make demo` and `make test` do all their own set-up on a machine with Rust.
#
# Every build names the whole workspace and includes what tests need (`--examples`): cargo unifies features over what it
# is asked to build, and another selection would compile the WebAssembly compiler a second time.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET)/debug
# What is measured is measured as it is shipped.
RELEASE := $(TARGET)/release
COMPONENTS := $(TARGET)/components
TRANSFORMS := $(notdir $(patsubst %/Cargo.toml,%,$(wildcard transforms/*/Cargo.toml)))
BUILD := $(CARGO) build --locked --workspace --bins --examples

.PHONY: help build release components demo test unit lint failpoints simulate crash crash-matrix sabotage power-cut languages \
  neighbours soak load density fuzz-api bench bench-mapping bench-input bench-check bench-record fuel-check bench-whole bench-ledger whole-peers

help: ## Show what can be typed
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the engine, the simulators and the proofs
	$(BUILD)

release: ## Build all of it as it is shipped
	$(CARGO) build --locked --release --workspace --bins --examples
	@for name in $(TRANSFORMS); do \
	  $(RELEASE)/crossdock build transforms/$$name --install-toolchain --output $(COMPONENTS)/$$name.wasm || exit 1; \
	done

components: build ## Build the transforms into components (prepares the guest toolchain)
	@for name in $(TRANSFORMS); do \
	  $(BIN)/crossdock build transforms/$$name --install-toolchain --output $(COMPONENTS)/$$name.wasm || exit 1; \
	done

demo: components ## Move 2,800 documents of three schemes, kill the engine in the middle, show that the books balance
	$(BIN)/demo

test: components unit fuel-check failpoints crash-matrix lint ## Everything that CI checks
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

neighbours: release ## Measure a tenant's latency beside another one's endless loops, floods and a gigabyte of rejects
	$(RELEASE)/neighbours

# Everything but the sandbox is built in workspaces of its own, each program alone: cargo unifies features over what it is asked
# to build, and what is measured must have its own.
BENCH := tests/bench
WORK := $(TARGET)/bench/work
BENCHED := $(CARGO) build --locked --release --target-dir $(TARGET)/bench --manifest-path $(BENCH)

bench-input: release
	mkdir -p $(WORK)
	$(RELEASE)/examples/mapping_report input --directory $(WORK) --parameters transforms/jushuitan-saleout-to-k3cloud/parameters.example.json
	$(BENCHED)/Cargo.toml -p crossdock-bench-floor
	# Says what each bill must be, and measures nothing.
	$(TARGET)/bench/release/crossdock-bench-floor $(WORK) none 0

bench: bench-mapping bench-whole density ## Everything that docs/benchmarks says of speed and density, measured anew

bench-mapping: bench-input ## Compare the mapping's cost with native code and with what people use instead; writes docs/benchmarks/mapping.md
	cp $(COMPONENTS)/jushuitan-saleout-to-k3cloud.wasm $(WORK)/rust.wasm
	$(RELEASE)/crossdock build $(BENCH)/nothing --target-dir $(TARGET)/bench/nothing --output $(WORK)/nothing.wasm
	$(RELEASE)/crossdock build guest-sdk/javascript/examples/jushuitan-saleout-to-k3cloud --output $(WORK)/javascript.wasm
	$(RELEASE)/crossdock build guest-sdk/python/examples/jushuitan_saleout_to_k3cloud --output $(WORK)/python.wasm
	$(BENCHED)/plugin/Cargo.toml --target wasm32-unknown-unknown
	cp $(TARGET)/bench/wasm32-unknown-unknown/release/crossdock_bench_plugin.wasm $(WORK)/plugin.wasm
	$(BENCHED)/Cargo.toml -p crossdock-bench-peers
	$(BENCHED)/extism/Cargo.toml
	$(RELEASE)/examples/compile_cost $(RELEASE)/crossdock $(WORK) Rust=$(WORK)/rust.wasm Python=$(WORK)/python.wasm \
	  JavaScript=$(WORK)/javascript.wasm > $(WORK)/compiling.md
	$(RELEASE)/examples/mapping_report run --directory $(WORK) --compiling $(WORK)/compiling.md --output docs/benchmarks/mapping.md \
	  $(TARGET)/bench/release/crossdock-bench-floor $(RELEASE)/examples/sandbox_cost $(TARGET)/bench/release/crossdock-bench-peers \
	  $(TARGET)/bench/release/crossdock-bench-extism

COUNTED := $(foreach name,$(TRANSFORMS),$(name)=$(COMPONENTS)/$(name).wasm)

fuel-check: components ## Fuel of every transform's cases is what tests/bench/recorded.json says
	$(BIN)/examples/bench_check $(BENCH)/recorded.json --crossdock $(BIN)/crossdock $(COUNTED)

bench-check: components bench-input ## The same, and the instructions of the native mapping (valgrind): red where either is off by 3 %
	$(BIN)/examples/bench_check $(BENCH)/recorded.json --crossdock $(BIN)/crossdock $(COUNTED) \
	  --native $(TARGET)/bench/release/crossdock-bench-floor $(WORK)

bench-record: components bench-input ## Record what bench-check counts, after a change that was meant
	$(BIN)/examples/bench_check $(BENCH)/recorded.json --record --crossdock $(BIN)/crossdock $(COUNTED) \
	  --native $(TARGET)/bench/release/crossdock-bench-floor $(WORK)

soak: release ## Five minutes of load with faults, a backlog of a million, ten gigabytes of rejects; draws target/soak/*.svg
	$(RELEASE)/soak --picture $(TARGET)/soak/soak.svg
	$(RELEASE)/soak --backlog 1000000 --picture $(TARGET)/soak/backlog.svg
	$(RELEASE)/neighbours --rounds 2 --mebibytes 10000

load: release ## 6,000 documents as fast as they go; draws target/soak/load.svg
	$(RELEASE)/soak --at-once --documents 6000 --picture $(TARGET)/soak/load.svg

density: release ## Memory of an engine at rest, and what a thousand uploaded modules cost
	$(RELEASE)/density --folder $(TARGET)/density/modules

power-cut: build ## 20 simulated power cuts (as root; says so loudly where it cannot run)
	$(BIN)/examples/power_cut --cuts 20

WHOLE := tests/bench/whole
PEERS := $(abspath $(TARGET))/bench-whole
FAUCET := 1.17.0

whole-peers: release ## Install what Crossdock is measured beside, under target/bench-whole
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
