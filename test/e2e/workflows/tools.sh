#!/bin/sh
# Installs act, actionlint and zizmor into .tools/bin, where the tests of the example workflows look for them.
set -eu
cd "$(dirname "$0")/../../.."
bin=$PWD/.tools/bin
mkdir -p "$bin"
# The workflows run on the host: without Docker's client act builds in half the time.
[ -x "$bin/act" ] || GOBIN=$bin go install -tags WITHOUT_DOCKER github.com/nektos/act@v0.2.89
[ -x "$bin/actionlint" ] || GOBIN=$bin go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
if [ ! -x "$bin/zizmor" ]; then
  python3 -m venv "$bin/../python"
  "$bin/../python/bin/pip" install --quiet zizmor==1.32.0
  ln -sf ../python/bin/zizmor "$bin/zizmor"
fi
