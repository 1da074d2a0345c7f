#!/bin/sh
# A container's first process: start MODULE [WORD ...]; `service` stands for the one this image is of.
set -eu

# The container's id: unique among replicas, the same after a restart, so that a new start ends at once what the old
# one had left open on the broker.
export DRIFTLOOP_SLOT="${DRIFTLOOP_SLOT:-$HOSTNAME}"

# Numba uses no cache that it can't write, and the root is read-only.
if [ -d /opt/numba ]; then
  export NUMBA_CACHE_DIR=/tmp/numba
  cp -r /opt/numba /tmp/numba
fi

if [ "$1" = service ]; then
  shift
  set -- "services.$SERVICE" "$@"
fi
exec python -m "$@"
