#!/bin/bash
# ApplicationStart: starts Apache on the new files, and at every boot from now on.
set -euo pipefail

HTTP_PORT=${HTTP_PORT:-80}
PORT_ATTEMPTS=${PORT_ATTEMPTS:-30}
PORT_DELAY=${PORT_DELAY:-1}
SYSTEMCTL_TIMEOUT=${SYSTEMCTL_TIMEOUT:-30}
# What a new instance of the fleet shows until its first revision arrives.
PLACEHOLDER=first-release-placeholder.service

log() { echo "$(date -u +%H:%M:%SZ) start_server: $*"; }
control() { timeout --kill-after=5 "$SYSTEMCTL_TIMEOUT" systemctl "$@"; }

port_holder() {
  local listeners
  listeners=$(ss -H -l -t -n -p "sport = :$HTTP_PORT")
  [[ -z $listeners ]] && return
  if [[ $listeners =~ \(\(\"([^\"]+)\",pid=([0-9]+) ]]; then
    echo "${BASH_REMATCH[1]} (pid ${BASH_REMATCH[2]})"
  else
    echo "a process that ss does not name"
  fi
}

free_the_port() {
  if systemctl cat "$PLACEHOLDER" >/dev/null 2>&1; then
    log "stopping $PLACEHOLDER"
    # It also stops by itself, perhaps at this very moment: what counts is the port.
    control stop "$PLACEHOLDER" || log "$PLACEHOLDER did not stop when asked"
  fi

  local attempt holder=""
  for ((attempt = 1; attempt <= PORT_ATTEMPTS; attempt++)); do
    holder=$(port_holder)
    [[ -z $holder ]] && return
    log "port $HTTP_PORT is held by $holder, check $attempt of $PORT_ATTEMPTS"
    sleep "$PORT_DELAY"
  done
  log "httpd cannot start: port $HTTP_PORT is still held by $holder"
  return 1
}

# A running httpd holds the port itself, and a restart hands it over.
systemctl is-active --quiet httpd.service || free_the_port

control enable --quiet httpd.service
if ! control restart httpd.service; then
  # Few lines, and short ones: the agent reports no more than the last 2 KiB of what a script said.
  journalctl --unit httpd.service --no-pager --lines 8 --output cat 2>&1 | cut -c 1-180 || true
  log "httpd did not start: its last words are above"
  exit 1
fi
log "httpd is running and starts at boot"
