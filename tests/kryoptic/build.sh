#!/usr/bin/env bash
# Builds kryoptic as a PKCS#11 module, once for each Cargo.lock, and prints where it is.
set -euo pipefail
cd "$(dirname "$0")"
tools=${XDG_CACHE_HOME:-$HOME/.cache}/signing-agent-tools
sources=$(sha256sum Cargo.lock Cargo.toml src/lib.rs | sha256sum | cut -c1-16)
built=$tools/kryoptic/$sources/libkryoptic_module.so
if ! [ -f "$built" ]; then
    # bindgen loads libclang, whose package is named after the distribution's version of it; the compiler's own headers are gcc's.
    clang=$(apt-cache depends libclang-dev 2>/dev/null | sed -n 's/.*Depends: libclang-\([0-9]*\)-dev$/libclang1-\1/p')
    ../../install.sh pkg-config=pkg-config gcc=gcc "/usr/lib/*/libclang-[0-9]*.so*=${clang:-libclang1}" \
        /usr/include/openssl/ssl.h=libssl-dev /usr/include/sqlite3.h=libsqlite3-dev
    headers=$(gcc -print-file-name=include)
    export OSSL_BINDGEN_CLANG_ARGS=-I$headers BINDGEN_EXTRA_CLANG_ARGS=-I$headers
    echo "kryoptic is built once, into $tools; this takes minutes" >&2
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    CARGO_TARGET_DIR=$scratch cargo build --release --locked --quiet >&2
    # What other locks asked for goes; the name appears only when the file is whole.
    rm -rf "$tools/kryoptic"
    mkdir -p "$tools/kryoptic/$sources"
    cp "$scratch/release/libkryoptic_module.so" "$built.part"
    mv "$built.part" "$built"
fi
echo "$built"
