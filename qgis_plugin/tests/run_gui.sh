#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The whole desktop under Xvfb, in a fresh profile: see gui_session.py.
#
# Usage: GEOSR_PYTHON=... [GEOSR_ZIP=...] [GEOSR_SHOTS=folder] [GEOSR_LOCALE=de] run_gui.sh [REPORT]
#
# GEOSR_PYTHON  interpreter of an environment with geosr
# GEOSR_ZIP     the built plugin, to install from; without it the folder here is linked
# GEOSR_SHOTS   where screenshots go
# GEOSR_WHEELS  a folder that make_wheel_folder.py has filled, to create an environment from
# REPORT        where the lines of the session go; they are printed as well
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d "${TMPDIR:-/tmp}/qgis-XXXXXX")"
trap 'rm -rf "$work"' EXIT
report="${1:-$work/report.txt}"
: >"$report"

profile="$work/config/profiles/default"
mkdir -p "$profile/python/plugins" "$profile/QGIS" "$work/data" "$work/home" "$work/tmp"
mkdir -m 700 "$work/run"
cp "$here/../../sample_data/scene.tif" "$work/home/"
enabled=
if [ -z "${GEOSR_ZIP:-}" ]; then
  ln -s "$here/../geosr_super_resolution" "$profile/python/plugins/geosr_super_resolution"
  enabled="geosr_super_resolution=true"
fi
cat >"$profile/QGIS/QGIS3.ini" <<INI
[PythonPlugins]
processing=true
$enabled

[locale]
userLocale=${GEOSR_LOCALE:-en}
overrideFlag=true

[qgis]
checkVersion=false
showTips312=false

[app]
news-feed\\items\\httpsfeedqgisorg\\disabled=true
plugin_installer\\checkOnStart=false

[core]
NewsFeed\\httpsfeedqgisorg\\disabled=true
INI

status=0
# A venv of another Python in front of PATH, or QGIS's own variables, would be another test.
env -i HOME="$work/home" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 TMPDIR="$work/tmp" \
  XDG_RUNTIME_DIR="$work/run" XDG_DATA_HOME="$work/data" XDG_CACHE_HOME="$work/cache" \
  QGIS_CUSTOM_CONFIG_PATH="$work/config" \
  GEOSR_TEST_PYTHON="${GEOSR_PYTHON:?names the Python of an environment with geosr}" \
  GEOSR_ZIP="${GEOSR_ZIP:-}" GEOSR_SHOTS="${GEOSR_SHOTS:-}" GEOSR_WHEELS="${GEOSR_WHEELS:-}" GEOSR_REPORT="$report" \
  GEOSR_SAMPLE="$work/home/scene.tif" \
  timeout "${GEOSR_GUI_SECONDS:-600}" \
  xvfb-run -a -s "-screen 0 1360x860x24" \
  sh -c 'command -v openbox >/dev/null && openbox & exec qgis --nologo --noversioncheck --code "$1"' \
  sh "$here/gui_session.py" >"$work/qgis.log" 2>&1 || status=$?

# The session ends with kill -9, and no process of geosr may outlive it.
left=
if [ -s "$report.workers" ]; then
  for _ in $(seq 100); do
    left=
    while read -r worker; do
      ! kill -0 "$worker" 2>/dev/null || left="$left $worker"
    done <"$report.workers"
    [ -n "$left" ] || break
    sleep 0.1
  done
  rm "$report.workers"
fi
partial="$(find "$work/home" "$work/data" "$work/tmp" -name '*.part*' -print)"

cat "$report"
if [ -n "$left$partial" ]; then
  echo "QGIS was killed and left behind:$left $partial"
  exit 1
fi
if ! tail -n 1 "$report" | grep -q '^done: 0 failed'; then
  echo "QGIS ended with status $status; its last lines:"
  tail -n 40 "$work/qgis.log"
  exit 1
fi
