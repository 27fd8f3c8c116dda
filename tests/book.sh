#!/usr/bin/env bash
# The documents as a book, in target/book (mdBook), and that each link in it leads somewhere: tests/book.py.
set -euo pipefail
cd "$(dirname "$0")/.."
mdbook=$1 target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
rm -rf "$target/book" "$target/book-source"
mkdir -p "$target/book-source"
cp -r docs README.md CHANGELOG.md SECURITY.md CONTRIBUTING.md "$target/book-source"
cp tests/book.toml "$target/book-source"
# The pages' table, as it is from one level above, with those that lie there.
sed -e 's|](|](docs/|' -e '1a\
\
[About](README.md)' "$target/book-source/docs/SUMMARY.md" >"$target/book-source/SUMMARY.md"
cat >>"$target/book-source/SUMMARY.md" <<'END'
- [Contents](docs/SUMMARY.md)
- [Changes](CHANGELOG.md)
- [Reporting a fault](SECURITY.md)
- [Finding your way](CONTRIBUTING.md)
END
said=$("$mdbook" build "$target/book-source" 2>&1) || { echo "$said" >&2; exit 1; }
if grep -E 'WARN|ERROR' <<<"$said" >&2; then exit 1; fi
tests/book.py "$target/book"
