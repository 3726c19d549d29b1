#!/bin/sh
# The programs that the interoperability tests talk to. Where they cannot be installed the tests that
# need them are skipped and say so.
set -eu
missing=""
command -v storescu >/dev/null 2>&1 || missing="$missing dcmtk"
command -v tshark   >/dev/null 2>&1 || missing="$missing tshark"
# Chromium shows the node's page.
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v Orthanc  >/dev/null 2>&1 || [ -x /usr/sbin/Orthanc ] || missing="$missing orthanc"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-peers: please install$missing" >&2
    exit 0
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
export DEBIAN_FRONTEND=noninteractive
{ $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1 \
    || { echo "install-peers: could not install$missing; the tests that need them will be skipped" >&2; exit 0; }
# The tests start an Orthanc of their own; nobody asked for the service that comes with the package.
case "$missing" in *orthanc*) $sudo systemctl disable --now orthanc >/dev/null 2>&1 || true ;; esac
