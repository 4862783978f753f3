#!/bin/bash
# ApplicationStop: stops Apache before the files below it change.
# CodeDeploy runs the copy of the revision before, which a new release can no longer repair: whatever happens here, the exit
# status is 0. A server that would not stop is restarted by start_server.sh, and judged by validate_service.sh.
set -euo pipefail

STOP_TIMEOUT=${STOP_TIMEOUT:-60}

log() { echo "$(date -u +%H:%M:%SZ) stop_server: $*"; }
never_block() {
  local status=$?
  ((status == 0)) || log "going on in spite of exit status $status"
  exit 0
}
trap never_block EXIT

if ! systemctl cat httpd.service >/dev/null 2>&1; then
  log "httpd is not installed: nothing to stop"
elif ! systemctl is-active --quiet httpd.service; then
  log "httpd is not running: nothing to stop"
else
  log "stopping httpd"
  timeout --kill-after=10 "$STOP_TIMEOUT" systemctl stop httpd.service
  log "httpd is stopped"
fi
