#!/bin/bash
# BeforeInstall: makes sure that Apache is there. It also makes /var/www/html, which the agent fills next.
set -euo pipefail

INSTALL_ATTEMPTS=${INSTALL_ATTEMPTS:-4}
# A boot-time update may hold dnf's lock, for which dnf waits without an end of its own.
INSTALL_TIMEOUT=${INSTALL_TIMEOUT:-120}
INSTALL_DELAY=${INSTALL_DELAY:-10}

log() { echo "$(date -u +%H:%M:%SZ) install_dependencies: $*"; }

if rpm -q httpd >/dev/null 2>&1; then
  log "httpd is already installed"
  exit 0
fi

for ((attempt = 1; attempt <= INSTALL_ATTEMPTS; attempt++)); do
  log "installing httpd, attempt $attempt of $INSTALL_ATTEMPTS"
  if timeout --kill-after=10 "$INSTALL_TIMEOUT" dnf install -y --quiet httpd; then
    log "httpd is installed"
    exit 0
  fi
  if ((attempt < INSTALL_ATTEMPTS)); then sleep "$INSTALL_DELAY"; fi
done

log "httpd could not be installed in $INSTALL_ATTEMPTS attempts: can this instance reach the package repositories?"
exit 1
