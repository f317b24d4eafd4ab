#!/bin/sh
# Sourced by every fake program: writes down the call and the environment it was made with.
# FAKE is the fake machine's directory. The change of number FAKE_FAIL_AT fails once it is done; that of number
# FAKE_KILL_AT takes whoever asked for it down with it.
printf '%s %s\n' "${0##*/}" "$*" >>"$FAKE/calls"
{
  echo "FAKE_CALL=${0##*/}"
  env
} >>"$FAKE/environments"

# Calls that change something are numbered, so that each of them can be the last one.
changes_something() {
  count=$(($(cat "$FAKE/changes" 2>/dev/null || echo 0) + 1))
  echo "$count" >"$FAKE/changes"
  if [ "$count" = "${FAKE_FAIL_AT:-0}" ]; then trap 'exit 1' EXIT; fi
  if [ "$count" = "${FAKE_KILL_AT:-0}" ]; then trap 'kill -9 $PPID; exit 1' EXIT; fi
}
