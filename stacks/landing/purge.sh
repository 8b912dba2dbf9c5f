#!/bin/sh
# Stands for a call of the content network: notes which cache was purged, and where its pages come from now.
set -eu
echo "$LIFEBOAT_SWITCH purged $1, pages come from $2" >> caches.log
echo "purged $1"
