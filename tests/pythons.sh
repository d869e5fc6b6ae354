#!/bin/sh
# The tests on other Pythons: sh tests/pythons.sh 3.10 3.13. A Python that is not found is skipped
# by name. JOBS: the processes of the tests.
set -eu
cd "$(dirname "$0")/.."
for version in "$@"; do
  if ! "python$version" --version >/dev/null 2>&1; then
    echo "python$version: not found, skipped"
    continue
  fi
  make setup VENV=".venv-$version" PYTHON="python$version"
  ".venv-$version/bin/pytest" -q --numprocesses "${JOBS:-2}" --dist loadfile \
    --override-ini "cache_dir=.venv-$version/.pytest_cache"
done
