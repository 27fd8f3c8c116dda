# The verbs of this project. `make demo` and `make test` are where to begin.
.PHONY: all build install deb image book demo test test-long fuzz reproducible mutants bench bench-jail lint fmt tools clean

TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/signing-agent-tools
# nextest where the machine has it: faster, and each test in a process of its own.
RUN_TESTS := $(shell cargo nextest --version >/dev/null 2>&1 && echo "cargo nextest run" || echo "cargo test")
# A program from crates.io, built once: its name, and what cargo is to install.
tool = @test -x $(TOOLS)/bin/$(1) || { echo "$(1) is built once, into $(TOOLS); this takes minutes"; \
  CARGO_TARGET_DIR=$(TOOLS)/target cargo install --debug --locked --quiet --root $(TOOLS) $(2) && rm -rf $(TOOLS)/target; }

all: build

build:
	cargo build --release --locked --workspace --bins
	./install.sh python3=python3
	packaging/sbom.py >"$(PROGRAMS)/sbom.cdx.json"

# What is built, and where it is: `make deb PROFILE=dev NO_BUILD=1` packs what is in target/debug as it is.
PROFILE ?= release
PROGRAMS = $(abspath $(or $(CARGO_TARGET_DIR),target))/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
PREFIX ?= /usr

# Programs, manual pages, completions, units, users' and directories' descriptions, examples, documents; nothing is enabled or started (docs/install.md).
install:
	packaging/install.sh "$(DESTDIR)" "$(PREFIX)" "$(PROGRAMS)"

# target/debian/signing-agent_VERSION_ARCHITECTURE.deb, or the file or directory that DEB names.
deb:
	$(if $(NO_BUILD),,cargo build --profile $(PROFILE) --locked --workspace --bins)
	packaging/generate.sh "$(PROGRAMS)/signing-agent" "$(PROGRAMS)/generated"
	./install.sh dpkg-shlibdeps=dpkg-dev
	$(call tool,cargo-deb,cargo-deb@3.8.0)
	$(TOOLS)/bin/cargo-deb --no-build --locked --profile $(PROFILE) -p signing-agent $(if $(DEB),-o $(DEB))

# localhost/signing-agent and localhost/signing-agent-softhsm, for podman and its like (docs/container.md).
image:
	$(if $(NO_BUILD),,$(MAKE) build)
	packaging/image/build.sh "$(PROGRAMS)"

# The documents as a book, in target/book.
book:
	./install.sh /usr/bin/python3=python3
	$(call tool,mdbook,mdbook@0.5.4 --no-default-features --features search)
	tests/book.sh $(TOOLS)/bin/mdbook

# What the tests call besides Rust: SoftHSM, a second PKCS#11 client, a debugger and a tracer that look into the rooms, a network of a
# test's own, what says whether systemd takes the units, OpenSSH's signatures, and what the examples of a callback and of partner apps need.
tools:
	./softhsm-setup.sh --install-only
	./install.sh pkcs11-tool=opensc gcore=gdb strace=strace ip=iproute2 systemd-analyze=systemd ssh-keygen=openssh-client \
	  openssl=openssl /usr/bin/python3=python3 '/usr/lib/python3/dist-packages/cryptography=python3-cryptography' curl=curl \
	  node=nodejs age=age script=bsdutils '/usr/share/nodejs/ws=node-ws' '/usr/lib/python3/dist-packages/websocket=python3-websocket'

# In the profile that `make test` uses, so that the two share one build.
demo:
	./softhsm-setup.sh --install-only
	cargo build --locked --workspace --bins
	./target/debug/demo

test: tools
	cargo build --locked --workspace --bins
	$(RUN_TESTS) --locked --workspace --no-fail-fast

# The demo, hundreds of kills, ten thousand actions in a burst, a million asks of a captured door, thousands of feed clients, the whole
# HTTP API against its own document (schemathesis, from PyPI), the house on a second PKCS#11
# module (kryoptic), the package in a clean booted system and the image as a container (as root), the book of the documents, Prometheus's
# own word on alerts and metrics, a little fuzzing, and every bench once.
test-long: tools demo
	cargo build --release --locked --workspace --bins
	@for room in api courier vault; do grep -qa SIGNING_AGENT_TEST_ATTEMPT target/debug/signing-agent-$$room || exit 1; done
	@if grep -la SIGNING_AGENT_TEST_ target/release/signing-agent*; then echo "test seams in a release build"; exit 1; fi
	cargo test --locked --workspace --test crash -- --ignored --nocapture
	cargo test --locked --workspace --test hostile -- --ignored --nocapture
	TOOLS=$(TOOLS) cargo test --locked --workspace --test api -- --ignored --nocapture --test-threads=1
	cargo test --locked --workspace --test tls -- --ignored --nocapture
	$(MAKE) deb NO_BUILD=1
	./install.sh mmdebstrap=mmdebstrap systemd-nspawn=systemd-container
	cargo test --locked --workspace --test service -- --ignored --nocapture
	./install.sh buildah=buildah podman=podman crun=crun setpriv=util-linux ip=iproute2
	cargo test --locked --workspace --test image -- --ignored --nocapture
	$(MAKE) book
	@test -x $(TOOLS)/bin/promtool || (set -e; dir=$$(mktemp -d); cd $$dir; apt-get download -qq -o APT::Sandbox::User=root prometheus; \
	  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool; install -D -t $(TOOLS)/bin usr/bin/promtool; rm -r $$dir)
	$(TOOLS)/bin/promtool check rules docs/prometheus/alerts.yml
	PROMTOOL=$(TOOLS)/bin/promtool cargo test --locked --workspace --test metrics -- every_metric --nocapture
	cargo test --locked --workspace --test walls -- --ignored --nocapture --test-threads=1
	./tests/kryoptic/build.sh >/dev/null
	cargo test --locked --workspace --test kryoptic -- --ignored --nocapture
	./fuzz/run.sh 10 none
	cargo bench --locked --workspace --bench sign --bench judge --bench token --bench agent -- --test

# Everything that is read from outside, each for FUZZ_SECONDS, with the address sanitizer.
fuzz:
	./fuzz/run.sh $(or $(FUZZ_SECONDS),60) address

# The source once more in another directory: the same programs? As long as a build.
reproducible: build
	packaging/reproducible.sh "$(PROGRAMS)"

# Each mutant of the policy's code before its tests: which survive? An hour or more; what came of it is in docs/mutants.md.
# MUTANTS adds options, such as `--shard 0/8` or `--file policy/src/judge.rs`.
mutants:
	$(call tool,cargo-mutants,cargo-mutants@27.1.0)
	PATH="$(TOOLS)/bin:$$PATH" PROPTEST_CASES=$(or $(PROPTEST_CASES),100) CARGO_PROFILE_DEV_DEBUG=0 RUST_BACKTRACE=0 \
	  cargo mutants --package policy --features policy/mutants --minimum-test-timeout 60 --output target $(MUTANTS)

bench: tools
	cargo build --release --locked --workspace --bins
	cargo bench --locked --workspace --bench sign --bench judge --bench token --bench agent

# Approvals with and without the jail, in one run.
bench-jail: tools
	cargo build --profile seams --locked --workspace --bins
	cargo bench --profile seams --locked -p signing-agent-benches --bench jail

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(call tool,cargo-deny,cargo-deny@0.20.2)
	cargo fetch --locked --quiet
	PATH="$(TOOLS)/bin:$$PATH" cargo deny --offline check bans licenses sources

fmt:
	cargo fmt --all

clean:
	cargo clean
