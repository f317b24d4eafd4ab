#!/bin/sh
# Runs before npm scripts, on whatever Node started npm: installs the packages
# (the pinned Node among them) only when the lockfile changed since last time.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.installed-lock
if [ ! -f "$stamp" ] || ! cmp -s package-lock.json "$stamp"; then
  echo "installing packages (lockfile changed) …"
  # Not `npm ci`: it refuses a lockfile made where a binary of another platform was not to be had.
  npm install --no-save --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi
