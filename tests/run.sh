#!/usr/bin/env bash
# Format, lint, types and tests, in an environment of their own: bash tests/run.sh [pytest options]
set -euo pipefail
cd "$(dirname "$0")/.."

environment=.tests-venv
python=$environment/bin/python
[ -x $python ] || python3 -m venv $environment
$python -m pip install --quiet -r tests/requirements.txt

$python -m ruff format --check .
$python -m ruff check .
$python -m mypy
HF_HUB_OFFLINE=1 $python -m pytest "$@"
