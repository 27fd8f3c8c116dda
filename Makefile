# The verbs of this project. `make demo` and `make test` are where to begin.
.PHONY: all build demo test test-long bench lint fmt tools clean

TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/signing-agent-tools
# nextest where the machine has it: faster, and each test in a process of its own.
RUN_TESTS := $(shell cargo nextest --version >/dev/null 2>&1 && echo "cargo nextest run" || echo "cargo test")

all: build

build:
	cargo build --release --locked --workspace --bins

# What the tests call besides Rust: SoftHSM, a second PKCS#11 client, and a debugger that looks into the rooms' memory.
tools:
	./softhsm-setup.sh --install-only
	./install.sh pkcs11-tool=opensc gcore=gdb

demo:
	./softhsm-setup.sh --install-only
	cargo build --release --locked -p signing-agent -p signing-agent-vault -p signing-agent-api -p signing-agent-courier -p signing-agent-tests --bins
	./target/release/demo

test: tools
	cargo build --locked --workspace --bins
	$(RUN_TESTS) --locked --workspace

# The demo in a release build, and that every bench still builds and runs once.
test-long: tools demo
	cargo bench --locked -p milagro -p signing-agent-benches --bench sign --bench token --bench agent -- --test

bench: tools
	cargo build --release --locked --workspace --bins
	cargo bench --locked -p milagro -p signing-agent-benches --bench sign --bench token --bench agent

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@test -x $(TOOLS)/bin/cargo-deny || { echo "cargo-deny is built once, into $(TOOLS); this takes minutes"; \
	  CARGO_TARGET_DIR=$(TOOLS)/target cargo install --locked --quiet --root $(TOOLS) cargo-deny && rm -rf $(TOOLS)/target; }
	PATH="$(TOOLS)/bin:$$PATH" cargo deny --offline check bans licenses sources

fmt:
	cargo fmt --all

clean:
	cargo clean
