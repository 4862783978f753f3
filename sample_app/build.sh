#!/bin/bash
# Puts a name on the release and lays out dist/, which is all that an instance receives.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Only characters that are harmless in HTML, in a URL and in a sed script.
plain() { tr -c '0-9A-Za-z\n' '-' <<<"$1"; }

commit=$(plain "${CODEBUILD_RESOLVED_SOURCE_VERSION:-local}")
build=$(plain "${CODEBUILD_BUILD_NUMBER:-0}")
built_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
release="${commit:0:8}-$build"

fail() {
  echo "build.sh: $*" >&2
  exit 1
}

stamp() {
  grep -q "$1" dist.partial/index.html || fail "index.html has no $1 to replace"
  sed -i.unstamped "s/$1/$2/g" dist.partial/index.html
  rm dist.partial/index.html.unstamped
}

rm -rf dist dist.partial
trap 'rm -rf dist.partial' EXIT
mkdir dist.partial
cp -R appspec.yml index.html css js scripts dist.partial/

stamp __RELEASE__ "$release"
stamp __COMMIT__ "$commit"
stamp __BUILD__ "$build"
stamp __BUILT_AT__ "$built_at"
if left=$(grep -rnoE '__[A-Z_]+__' dist.partial/index.html dist.partial/css dist.partial/js); then
  fail "nothing fills in $left"
fi
echo "$release" >dist.partial/release.txt

mv dist.partial dist
echo "dist/ holds release $release, built at $built_at"
