#!/bin/bash
# Fails the build when the page or its deployment is broken. Needs bash and python3, and no network.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

failures=0
problem() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

# Every problem of one run is reported: a build is too slow a way to learn of them one by one.
for file in index.html css/style.css js/app.js appspec.yml buildspec.yml build.sh; do
  [[ -s $file ]] || problem "$file is missing or empty"
done

if [[ -s index.html ]]; then
  found=$(python3 tests/check_page.py index.html) || problem "index.html could not be checked"
  while IFS= read -r line; do
    [[ -z $line ]] || problem "index.html: $line"
  done <<<"$found"
fi

for file in css/*.css; do
  [[ $(tr -dc '{' <"$file" | wc -c) -eq $(tr -dc '}' <"$file" | wc -c) ]] || problem "$file: its braces do not match"
done

if command -v node >/dev/null; then
  for file in js/*.js; do
    said=$(node --check "$file" 2>&1) || problem "$file: $(grep -m 1 Error <<<"$said")"
  done
else
  echo "SKIP: no node here, js/ is not checked for syntax"
fi

for file in build.sh scripts/*.sh tests/*.sh; do
  said=$(bash -n "$file" 2>&1) || problem "$said"
  [[ -x $file ]] || problem "$file is not executable: git update-index --chmod=+x $file"
done
while IFS= read -r file; do
  problem "$file has Windows line ends, which Linux takes for a part of the commands"
done < <(grep -l $'\r' build.sh scripts/*.sh tests/*.sh)

if [[ -s appspec.yml ]]; then
  while IFS= read -r location; do
    [[ -f $location ]] || problem "appspec.yml runs $location, which does not exist"
  done < <(sed -n 's/^ *- *location: *//p' appspec.yml)
  while IFS= read -r source; do
    if [[ $source == / || $source == . ]]; then
      problem "appspec.yml installs everything: scripts and appspec.yml would be published"
    elif [[ ! -e $source ]]; then
      problem "appspec.yml installs $source, which does not exist"
    fi
  done < <(sed -n 's/^ *- *source: *//p' appspec.yml)
fi

if ((failures > 0)); then
  echo "$failures problem(s): nothing will be built"
  exit 1
fi
echo "OK: the page, its scripts and its appspec.yml belong together"
