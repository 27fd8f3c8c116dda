#!/usr/bin/env bash
# What `make install` does: DESTDIR, PREFIX, and the directory of the built programs. It enables and starts nothing, and makes no
# users: systemd-sysusers and systemd-tmpfiles do, on the host that it is for.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$1$2 prefix=$2 programs=$3

for room in vault api courier; do
    [ -x "$programs/signing-agent-$room" ] || { echo "$programs has no signing-agent-$room: build first (make)" >&2; exit 1; }
done
put() { # MODE DIRECTORY FILE …
    install -d -m 755 "$root/$2"
    install -m "$1" -t "$root/$2" "${@:3}"
}
put 755 bin "$programs/signing-agent"
put 755 libexec/signing-agent "$programs"/signing-agent-{vault,api,courier}
put 644 lib/systemd/system systemd/*.{service,socket,target}
put 644 lib/systemd/system/signing-agent-.service.d systemd/signing-agent-.service.d/*.conf
put 644 lib/sysusers.d systemd/sysusers.d/signing-agent.conf
put 644 lib/tmpfiles.d systemd/tmpfiles.d/signing-agent.conf
put 644 share/signing-agent/examples docs/signing-agent.toml docs/examples/* packaging/examples/*
put 644 share/signing-agent/policies docs/policies/*.toml
put 644 share/signing-agent/policies/cases docs/policies/cases/*.toml
put 644 share/signing-agent/drop-ins systemd/drop-ins/*.conf
put 644 share/doc/signing-agent README.md docs/*.md packaging/debian/copyright
put 644 share/doc/signing-agent/prometheus docs/prometheus/*
put 644 share/doc/signing-agent/grafana docs/grafana/*
generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
packaging/generate.sh "$programs/signing-agent" "$generated/all"
put 644 share/doc/signing-agent "$generated/all/sbom.cdx.json"
put 644 share/man/man1 "$generated"/all/man/*
put 644 share/bash-completion/completions "$generated/all/bash/signing-agent"
put 644 share/zsh/vendor-completions "$generated/all/zsh/_signing-agent"
put 644 share/fish/vendor_completions.d "$generated/all/fish/signing-agent.fish"
# The units name their programs by whole paths.
if [ "$prefix" != /usr ]; then
    sed -i "s|/usr/libexec/|$prefix/libexec/|; s|=+/usr/bin/|=+$prefix/bin/|; s|file:///usr/share/|file://$prefix/share/|" "$root"/lib/systemd/system/signing-agent*.{service,socket,target} \
        "$root"/lib/systemd/system/signing-agent-.service.d/*.conf
fi
