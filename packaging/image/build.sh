#!/usr/bin/env bash
# Builds the images, with the programs in DIRECTORY: localhost/signing-agent, and localhost/signing-agent-softhsm, which has SoftHSM
# besides. Needs no daemon and no registry: what is not ours is Debian's packages (root.sh).
#
#     build.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=$1 here=packaging/image
for room in vault api courier; do
    [ -x "$programs/signing-agent-$room" ] || { echo "$programs has no signing-agent-$room: build first (make)" >&2; exit 1; }
done
./install.sh buildah=buildah
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
build() { # TAG CONTAINERFILE
    buildah bud --isolation chroot --layers=false --timestamp 0 --quiet --tag "localhost/$1" --file "$2" "$context" >/dev/null
    echo "localhost/$1"
}
pack() { # ROOT DIRECTORY-OF-ITS-USER: with owners and modes, which COPY would not keep
    mkdir -p "$context/own/$2"
    tar --directory "$context/$1" --owner 0 --group 0 --sort name --create --file "$context/$1.tar" .
    tar --directory "$context/own" --owner 10001 --group 10001 --mode 700 --append --file "$context/$1.tar" "./$2"
}

root=$context/root
# gcc-NN-base: the licence of libgcc and libstdc++.
$here/root.sh "$root" libc6 libgcc-s1 ca-certificates "$(apt-cache depends libgcc-s1 | sed -n 's/.*Depends: \(gcc-.*-base\)$/\1/p')"
packaging/install.sh "$context/package" /usr "$programs"
mkdir -p "$root"/{dev,proc,run,sys,var/lib,etc/signing-agent} "$root/usr/libexec" "$root/usr/share/doc/signing-agent"
install -d -m 1777 "$root/tmp"
cp "$context/package/usr/bin/signing-agent" "$root/usr/bin"
cp -r "$context/package/usr/libexec/signing-agent" "$root/usr/libexec"
cp "$context/package/usr/share/doc/signing-agent"/{copyright,sbom.cdx.json} "$root/usr/share/doc/signing-agent"
echo 'signing-agent:x:10001:10001::/var/lib/signing-agent:/nonexistent' >"$root/etc/passwd"
echo 'signing-agent:x:10001:' >"$root/etc/group"
pack root var/lib/signing-agent
build signing-agent Containerfile

$here/root.sh "$context/softhsm" softhsm2 softhsm2-common libsofthsm2 libssl3 libsqlite3-0 libstdc++6
install -D -m 644 "$context/softhsm/usr/share/softhsm/softhsm2.conf" -t "$context/softhsm/etc/softhsm"
pack softhsm var/lib/softhsm/tokens
build signing-agent-softhsm $here/softhsm.Containerfile
