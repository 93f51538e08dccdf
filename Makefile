# Everything a person types. `make demo` and `make test` do all their own set-up on a machine with Rust.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET)/debug
COMPONENTS := target/components
TRANSFORMS := jushuitan-saleout-to-k3cloud u8-saleout-to-wangdiantong wangdiantong-stockin-to-jdy

.PHONY: help build components demo test lint crash sabotage power-cut clean-demo

help: ## Show what can be typed
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the engine and the simulators
	$(CARGO) build --locked --workspace --bins

components: build ## Build the transforms into components (prepares the guest toolchain)
	@for name in $(TRANSFORMS); do \
	  $(BIN)/crossdock build transforms/$$name --install-toolchain --output $(COMPONENTS)/$$name.wasm || exit 1; \
	done

demo: components ## Move 2,000 documents, kill the engine in the middle, show that the books balance
	$(BIN)/demo

test: components lint ## Everything that CI checks
	$(CARGO) test --locked --workspace
	cd transforms && $(CARGO) test --locked
	$(CARGO) run --locked --quiet -p crossdock --features failpoints --example power_cut -- --cuts 3

lint: ## Formatting and lints
	$(CARGO) fmt --all --check
	cd transforms && $(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

crash: components ## Kill the engine 200 times at random instants; nothing may be lost or doubled
	$(BIN)/crash --kills 200

sabotage: components ## Break each promise on purpose and see the crash test turn red
	$(CARGO) build --locked -p crossdock --features failpoints --target-dir $(TARGET)/sabotage
	$(BIN)/crash --expect-red --engine $(TARGET)/sabotage/debug/crossdock

power-cut: ## 20 simulated power cuts (as root; says so loudly where it cannot run)
	$(CARGO) run --locked -p crossdock --features failpoints --example power_cut -- --cuts 20
