#!/bin/sh
# foreign_apt.sh CACHE ARCHITECTURE SUITE COMMAND [ARGUMENT...]: run apt-get or apt-cache with a
# state of its own, so that packages of another architecture or Debian release can be looked up and
# downloaded while this system's own apt stays untouched. Needs no root.
set -eu

cache=$1 architecture=$2 suite=$3 command=$4
shift 4

state=$cache/apt/$suite-$architecture
mkdir -p "$state/lists/partial" "$state/archives/partial"
: >>"$state/status"

mirror=${EDGEPROF_DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
    # The mirror this system itself uses, if it is a Debian.
    # shellcheck disable=SC2016 # apt's own place holders
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
fi
if [ -z "$mirror" ]; then
    echo "make_virtual_board: apt knows no Debian mirror here: run 'apt-get update', or name one in EDGEPROF_DEBIAN_MIRROR" >&2
    exit 1
fi
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror $suite main" >"$state/sources.list"

exec "$command" \
    -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" \
    -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
