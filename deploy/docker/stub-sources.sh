#!/bin/sh
# Copies the manifests of the workspace into a folder, with an empty source for every target. A build of that folder compiles
# the dependencies alone, so an image layer of it stays valid while only sources change.
#
#   sh deploy/docker/stub-sources.sh FOLDER        (from the root of the workspace)
set -eu
stubs=$1
mkdir -p "$stubs"
cp Cargo.toml Cargo.lock "$stubs"
# A manifest may name its targets, so each of them must exist.
find . -name target -prune -o -name node_modules -prune -o \
    \( -name Cargo.toml -o -name build.rs -o -path '*/src/lib.rs' -o -path '*/src/main.rs' -o -path '*/src/bin/*.rs' \
    -o -path '*/tests/*.rs' -o -path '*/benches/*.rs' -o -path '*/fuzz_targets/*.rs' \) -print |
while read -r file; do
    mkdir -p "$stubs/$(dirname "$file")"
    case $file in
        *.rs) echo 'fn main() {}' > "$stubs/$file" ;;
        *) cp "$file" "$stubs/$file" ;;
    esac
done
