#!/bin/bash
# ValidateService: the deployment may go on to the next instance only if this one serves this very release.
set -euo pipefail

VALIDATE_URL=${VALIDATE_URL:-http://127.0.0.1/}
VALIDATE_ATTEMPTS=${VALIDATE_ATTEMPTS:-12}
VALIDATE_TIMEOUT=${VALIDATE_TIMEOUT:-5}
VALIDATE_DELAY=${VALIDATE_DELAY:-5}
ERROR_LOG=${ERROR_LOG:-/var/log/httpd/error_log}
REVISION=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

log() { echo "$(date -u +%H:%M:%SZ) validate_service: $*"; }

if [[ ! -s $REVISION/release.txt ]]; then
  log "the revision has no release.txt: deploy what build.sh made, not the repository itself"
  exit 1
fi
release=$(<"$REVISION/release.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
answer=""

serves_this_release() {
  local status served
  if ! status=$(curl --silent --show-error --fail --noproxy '*' --max-time "$VALIDATE_TIMEOUT" \
    --output "$work/page" --write-out '%{http_code}' "$VALIDATE_URL" 2>"$work/error"); then
    answer="HTTP $status, $(<"$work/error")"
    return 1
  fi
  # --fail lets redirects through, and a redirect is not a page.
  if [[ $status != 200 ]]; then
    answer="HTTP $status instead of 200"
    return 1
  fi
  served=$(sed -n '/<meta name="release"/{s/.*content="\([^"]*\)".*/\1/p;q;}' "$work/page")
  if [[ $served != "$release" ]]; then
    answer="HTTP 200, but it serves release ${served:-without a name}"
    return 1
  fi
}

diagnose() {
  if command -v systemctl >/dev/null; then systemctl show httpd.service --property ActiveState,SubState,Result || true; fi
  if command -v journalctl >/dev/null; then journalctl --unit httpd.service --no-pager --lines 4 --output cat || true; fi
  if [[ -r $ERROR_LOG ]]; then tail -n 4 "$ERROR_LOG"; fi
}

for ((attempt = 1; attempt <= VALIDATE_ATTEMPTS; attempt++)); do
  if serves_this_release; then
    log "$VALIDATE_URL serves release $release"
    exit 0
  fi
  log "attempt $attempt of $VALIDATE_ATTEMPTS: $answer"
  if ((attempt < VALIDATE_ATTEMPTS)); then sleep "$VALIDATE_DELAY"; fi
done

# Few lines, and short ones: the agent reports no more than the last 2 KiB of what a script said.
diagnose 2>&1 | cut -c 1-140
log "$VALIDATE_URL does not serve release $release. Last answer: $answer"
exit 1
