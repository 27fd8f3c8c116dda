#!/usr/bin/env bash
# A clean Debian of this host's release, booted with a systemd of its own, for promises.sh to try the package in:
#
#     container.sh DEB SIMULATOR PROBE PAGE RECIPIENT RESULTS
#
# Everything is in a tmpfs of a mount namespace, under a pid namespace and a cgroup of its own: it ends with this script, however that ends.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
read -r deb simulator probe page recipient results <<<"$*"
die() { echo "container.sh: $*" >&2; exit 1; }

if [ -z "${INSIDE:-}" ]; then
    [ "$(id -u)" -eq 0 ] || die "this needs root: namespaces, mounts and a systemd that boots"
    missing=()
    for pair in mmdebstrap=mmdebstrap systemd-nspawn=systemd-container ip=iproute2 nsenter=util-linux; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair##*=}")
    done
    ((${#missing[@]} == 0)) || die "missing; please run as root: apt-get install -y --no-install-recommends ${missing[*]}"
    cgroups=$(findmnt -nt cgroup2 -o TARGET | head -1)
    [ -n "$cgroups" ] || die "there is no cgroup2 mount: a systemd cannot boot without"

    name=signing-agent-boot-$$
    tidy() { # NAME: what a run of that name left outside its namespaces: empty directories
        local dir
        for dir in "$cgroups/$1" "/sys/fs/cgroup/systemd/$1"; do
            if [ -d "$dir" ]; then find "$dir" -depth -type d -exec rmdir {} \; || true; fi
        done
        rm -rf "/run/systemd/nspawn/propagate/$1"
        if [ -d "${TMPDIR:-/tmp}/$1" ]; then rmdir "${TMPDIR:-/tmp}/$1"; fi
    }
    for left in "${TMPDIR:-/tmp}"/signing-agent-boot-*; do
        if [ -d "$left" ] && ! [ -d "/proc/${left##*-}" ]; then tidy "${left##*/}"; fi
    done
    mkdir "$cgroups/$name" "${TMPDIR:-/tmp}/$name"
    trap 'tidy "$name"' EXIT
    trap 'kill "$child" 2>/dev/null; wait "$child"; exit 1' INT TERM HUP
    # Each dies with the one before it, also of a SIGKILL, and with the last all of the pid namespace.
    (echo "$BASHPID" >"$cgroups/$name/cgroup.procs"
     INSIDE=$name exec setpriv --pdeathsig KILL timeout -k 5 "${PATIENCE:-300}" setpriv --pdeathsig KILL \
        unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$0" "$@") &
    child=$!
    wait "$child"
    exit
fi

work=${TMPDIR:-/tmp}/$INSIDE root=$work/root
mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work"/{home,clean,upper,over,root}
export HOME=$work/home
# The release that the programs were built on. The packages that the page asks apt for are put into apt's cache, but not installed: the
# booted system has no network, and apt must find there by itself what the package needs.
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
sources=/etc/apt/sources.list.d/debian.sources
[ -f "$sources" ] || sources=
# shellcheck disable=SC2016,SC2086
mmdebstrap -q --variant=apt --include=systemd,systemd-sysv --skip=cleanup/apt --customize-hook='chroot "$1" \
    apt-get install -y -qq --download-only -o APT::Install-Recommends=true softhsm2 ca-certificates curl >/dev/null' "$release" "$work/clean" $sources \
    || die "mmdebstrap could not make a clean root: is the network there?"
# Not the tmpfs itself: systemd-creds makes no key where it would not last.
mount -t overlay -o "lowerdir=$work/clean,upperdir=$work/upper,workdir=$work/over" overlay "$root"
: >"$root/etc/machine-id"
rm -f "$root/etc/resolv.conf"
echo 'Acquire::Retries "0";' >"$root/etc/apt/apt.conf.d/90no-network"
install -m 644 "$deb" -t "$root/root"
install -m 755 "$simulator" "$root/usr/local/bin/custody-simulator"
install -D -m 755 "$probe" "$root/usr/local/lib/probe"

# CAP_BPF and bpf(2): IPAddressDeny is ignored without. mlock(2): nspawn forbids it to who has no CAP_IPC_LOCK. Landlock's calls are
# younger than nspawn's list.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q -b -D "$root" -M "$INSIDE" --register=no --keep-unit --link-journal=no \
    --private-network --console=pipe --resolv-conf=off --capability=CAP_BPF \
    "--system-call-filter=bpf @memlock landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    systemd.unit=multi-user.target </dev/null >"$results/boot.log" 2>&1 &
nspawn=$!
for _ in $(seq 300); do
    leader=$(awk '{print $1}' "/proc/$nspawn/task/$nspawn/children" 2>/dev/null || true)
    if [ -n "$leader" ] && [ -S "/proc/$leader/root/run/systemd/private" ]; then break; fi
    kill -0 "$nspawn" 2>/dev/null || die "the container did not boot: $(tail -5 "$results/boot.log")"
    sleep .1
done
export leader root page recipient results
"$here/promises.sh" || { nsenter -t "$leader" -a journalctl --no-pager -b >"$results/journal-on-failure" || true; exit 1; }
# It says that there is no bus, and takes its other way.
nsenter -t "$leader" -a systemctl poweroff 2>/dev/null
wait "$nspawn"
