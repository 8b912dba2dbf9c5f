#!/bin/sh
# Stands for `SET GLOBAL read_only`: stops the writers of a database, starts them again, or says whether they are stopped.
set -eu
case "$1" in
  stop) touch "$2.stopped" ;;
  start) rm -f "$2.stopped" ;;
  stopped) test -e "$2.stopped" ;;
esac
