#!/usr/bin/env bash
# The tests that look at pages in a real browser: Debian's Chromium, or the one that CHROMIUM names.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -z "${CHROMIUM:-}" ] && ! command -v chromium > /dev/null; then
  if [ "$(id -u)" -ne 0 ]; then
    echo 'Chromium is missing. Install the package chromium, or name a Chromium with CHROMIUM.' >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null
fi
CHROMIUM="${CHROMIUM:-$(command -v chromium)}" exec npx vitest run --config test/browser/vitest.config.ts "$@"
