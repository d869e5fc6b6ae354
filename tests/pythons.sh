#!/bin/sh
# The tests on other Pythons: sh tests/pythons.sh 3.10 3.13. Those that are not found are named and passed over.
set -eu
cd "$(dirname "$0")/.."
for version in "$@"; do
  if ! "python$version" --version >/dev/null 2>&1; then
    echo "python$version: not found, passed over"
    continue
  fi
  make setup VENV=".venv-$version" PYTHON="python$version"
  ".venv-$version/bin/pytest" -q --override-ini "cache_dir=.venv-$version/.pytest_cache"
done
