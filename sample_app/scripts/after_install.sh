#!/bin/bash
# AfterInstall: looks at what was installed before anything is started on it.
set -euo pipefail

DOCROOT=${DOCROOT:-/var/www/html}
REVISION=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

log() { echo "$(date -u +%H:%M:%SZ) after_install: $*"; }

if [[ ! -s $REVISION/release.txt ]]; then
  log "the revision has no release.txt: deploy what build.sh made, not the repository itself"
  exit 1
fi
release=$(<"$REVISION/release.txt")

if ! cmp -s "$REVISION/index.html" "$DOCROOT/index.html"; then
  log "$DOCROOT/index.html is not the page of release $release: do the files in appspec.yml still go there?"
  exit 1
fi
log "$DOCROOT holds release $release"

# Apache would refuse to start on a configuration that it cannot read. Here its message is the last line of the log.
log "checking the configuration of httpd"
httpd -t
