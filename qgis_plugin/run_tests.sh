#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `make test` cannot test: the plugin inside QGIS, from its ZIP, with the real geosr.
#
# Usage: [GEOSR_PYTHON=...] [GEOSR_SHOTS=folder] run_tests.sh [PART...]
#
# GEOSR_PYTHON  interpreter of an environment with geosr; .venv-test's by default
# GEOSR_SHOTS   where screenshots and the session's report go; build/qgis by default
# PART          pytest, desktop, checks, qt6; all by default
#
# For Debian, whose packages it needs: see .ci/run. Where there is no QGIS it says so and tests
# nothing.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(dirname "$here")"
python="${GEOSR_PYTHON:-$root/.venv-test/bin/python}"
shots="${GEOSR_SHOTS:-$root/build/qgis}"
venv="$root/.venv-qgis"
qt6="$root/.venv-qt6"

for program in qgis_process.bin xvfb-run xauth; do
  if ! PATH=/usr/bin:/bin command -v "$program" >/dev/null; then
    echo "THE PLUGIN IS NOT TESTED INSIDE QGIS: there is no $program." >&2
    exit 0
  fi
done
if ! "$python" -I -c 'import geosr' 2>/dev/null; then
  echo "GEOSR_PYTHON must name an environment with geosr; $python is none." >&2
  exit 1
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/home" "$work/config" "$work/data" "$work/unpacked"
mkdir -m 700 "$work/run"
zip="$work/geosr_super_resolution.zip"

# QGIS's own Python, with what the tests need beside it.
make_venv() {
  [ -e "$venv/stamp" ] && [ ! "$0" -nt "$venv/stamp" ] && return
  /usr/bin/python3 -m venv --system-site-packages "$venv" &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      pytest pytest-qgis pytest-qt bandit detect-secrets flake8 &&
    touch "$venv/stamp"
}

# Nothing of this shell: another Python in front of PATH keeps QGIS from starting.
clean() {
  env -i HOME="$work/home" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 QT_QPA_PLATFORM=offscreen \
    XDG_RUNTIME_DIR="$work/run" QGIS_CUSTOM_CONFIG_PATH="$work/config" \
    GEOSR_PYTHON="$python" GEOSR_ZIP="$zip" "$@"
}

# Algorithms, widgets and qgis_process, offscreen. The status counts: QGIS may crash at its end.
part_pytest() {
  (cd "$root" && clean GEOSR_TESTS=qgis "$venv/bin/python" -m pytest -q -o addopts= \
    -p no:cacheprovider --durations=5 -ra qgis_plugin/tests)
}

# The whole desktop under Xvfb, from "Install from ZIP" over an environment that the plugin makes to
# the comparison. Without a package index that environment is left out, and an existing one used.
part_desktop() {
  mkdir -p "$shots"
  rm -f "$shots"/*.png # of an earlier run
  local wheels="$work/wheels"
  if ! "$venv/bin/python" "$here/make_wheel_folder.py" "$wheels" >"$work/wheels.log" 2>&1; then
    tail -n 3 "$work/wheels.log"
    echo "No folder of wheels could be made: no environment is created from it."
    wheels=
  fi
  GEOSR_WHEELS="$wheels" GEOSR_PYTHON="$python" GEOSR_ZIP="$zip" GEOSR_SHOTS="$shots" \
    "$here/tests/run_gui.sh" "$shots/report.txt"
}

# What plugins.qgis.org asks of a plugin, of that which is in the ZIP.
part_checks() {
  local bad=0
  "$venv/bin/bandit" --quiet --recursive "$work/unpacked" || bad=1
  "$venv/bin/flake8" --isolated --max-line-length 100 "$work/unpacked" || bad=1
  # It exits with 0 whatever it finds.
  (cd "$work/unpacked" && "$venv/bin/detect-secrets" scan --all-files . >"$work/secrets.json")
  "$venv/bin/python" - "$work/secrets.json" <<'PYTHON' || bad=1
import json, sys
with open(sys.argv[1], encoding="utf-8") as stream:
    found = json.load(stream)["results"]
for name, secrets in found.items():
    for each in secrets:
        print(f"{name}:{each['line_number']}: {each['type']}")
sys.exit(bool(found))
PYTHON
  echo "bandit, flake8, detect-secrets: $([ $bad = 0 ] && echo no findings || echo findings)"
  return $bad
}

# Both Qts from one source: the modules import under PyQt6.
part_qt6() {
  if [ ! -e "$qt6/stamp" ]; then
    if ! { /usr/bin/python3 -m venv "$qt6" &&
      "$qt6/bin/python" -m pip install --quiet --disable-pip-version-check PyQt6; }; then
      echo "PyQt6 could not be installed: the plugin is not tried under it."
      return 0
    fi
    touch "$qt6/stamp"
  fi
  QT_QPA_PLATFORM=offscreen "$qt6/bin/python" "$here/tests/qt6_smoke.py" \
    "$work/unpacked/geosr_super_resolution"
}

make_venv && "$venv/bin/python" "$here/build_zip.py" --output "$zip" &&
  "$venv/bin/python" -m zipfile -e "$zip" "$work/unpacked" || exit 1
[ $# != 0 ] || set -- pytest desktop checks qt6
failed=()
for part; do
  begun=$SECONDS
  echo "== $part"
  "part_$part" || failed+=("$part")
  echo "== $part took $((SECONDS - begun)) s"
done
if [ ${#failed[@]} != 0 ]; then
  echo "The plugin's tests failed: ${failed[*]}" >&2
  exit 1
fi
echo "The plugin's tests passed in $SECONDS s."
