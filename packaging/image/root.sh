#!/usr/bin/env bash
# The files of Debian packages, of the release that this host is: what an image has beside our own. Neither apt nor dpkg nor a shell is
# among them, and no script of a package is run.
#
#     root.sh DIRECTORY PACKAGE …
set -euo pipefail
root=$1
shift

packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
# apt's own user cannot write here, and need not.
(cd "$packages" && apt-get download -qq -o APT::Sandbox::User=root "$@")
mkdir -p "$root"/usr/{bin,lib,lib64,sbin}
ln -sfnT usr/bin "$root/bin"
ln -sfnT usr/lib "$root/lib"
ln -sfnT usr/lib64 "$root/lib64"
ln -sfnT usr/sbin "$root/sbin"
for package in "$packages"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$root" --keep-directory-symlink --no-same-owner
done
# Pages, translations and character sets that no program here asks for; whose it is, and under which licence, stays.
rm -rf "$root"/usr/share/{man,info,locale,lintian,bash-completion,bug,doc-base} "$root"/usr/lib/*/gconv
find "$root/usr/share/doc" -type f ! -name copyright -delete 2>/dev/null || true
# ca-certificates makes it in a script.
if [ -d "$root/usr/share/ca-certificates/mozilla" ]; then
    mkdir -p "$root/etc/ssl/certs"
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
    rm -rf "$root/usr/share/ca-certificates" "$root/usr/sbin/update-ca-certificates"
fi
