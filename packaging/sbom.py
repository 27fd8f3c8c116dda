#!/usr/bin/env python3
"""What the programs are made of, as CycloneDX 1.5 (JSON), on standard output: each crate that cargo compiles into them or runs to
build them, with its version, licence, checksum and what it depends on. The same source gives the same octets."""

import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

PROGRAMS = ["signing-agent", "signing-agent-vault", "signing-agent-api", "signing-agent-courier"]
SOURCE = Path(__file__).resolve().parent.parent


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True, cwd=SOURCE).stdout


host = next(line.split()[1] for line in subprocess.run(
    ["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines() if line.startswith("host: "))
metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", host))
packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
with open(SOURCE / "Cargo.lock", "rb") as lock:
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in tomllib.load(lock)["package"]}

# `cargo tree` knows the features of each program; metadata's graph has those of the tests, too.
edges, roots = {}, []
for program in PROGRAMS:
    lines = cargo("tree", "--locked", "--package", program, "--edges", "normal,build", "--target", host, "--prefix", "depth",
                  "--no-dedupe", "--format", "\t{p}").splitlines()
    above = []
    for line in filter(None, lines):
        depth, rest = line.split("\t", 1)
        name, version = rest.split()[:2]
        key = (name, version.removeprefix("v"))
        edges.setdefault(key, set())
        above = above[:int(depth)]
        if above:
            edges[above[-1]].add(key)
        else:
            roots.append(key)
        above.append(key)


def purl(key):
    return f"pkg:cargo/{key[0]}@{key[1]}"


def component(key):
    package = packages[key]
    found = {"type": "application" if key in roots else "library", "bom-ref": purl(key), "name": key[0], "version": key[1], "purl": purl(key)}
    if package["license"]:
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksums[key]:
        found["hashes"] = [{"alg": "SHA-256", "content": checksums[key]}]
    return found


version = packages[roots[0]]["version"]
bom = {
    "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {"component": {"type": "application", "bom-ref": "signing-agent", "name": "signing-agent", "version": version}},
    "components": [component(key) for key in sorted(edges)],
    "dependencies": [{"ref": "signing-agent", "dependsOn": [purl(key) for key in sorted(roots)]}]
    + [{"ref": purl(key), "dependsOn": [purl(other) for other in sorted(edges[key])]} for key in sorted(edges)],
}
bom["serialNumber"] = "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True)))
json.dump(bom, sys.stdout, indent=1, sort_keys=True)
print()
