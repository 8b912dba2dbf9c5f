# Shows a failover or a failback, and carries it out if the name of the stack was typed as its confirmation.
set -e
refuse() {
  echo "error: $1; nothing was changed" >&2
  exit 3
}
if [ -n "$CONFIRMATION" ] && [ "$CONFIRMATION" != "$STACK" ]; then refuse "the confirmation is not the name of the stack"; fi
case "$COMMAND" in
  failover)
    set -- failover "--to=$OVERLAY"
    if [ "$PLANNED" = true ]; then set -- "$@" --planned; fi
    ;;
  failback) set -- failback ;;
  *) refuse "the command is neither failover nor failback" ;;
esac
set -f
for it in $LOST; do set -- "$@" "--lost=$it"; done
if [ -n "$CONFIRMATION" ]; then
  lifeboat "$@" --yes -- "$STACK"
else
  # Nobody can be asked here: it shows what it would do, changes nothing, and ends with 64.
  code=0
  lifeboat "$@" -- "$STACK" >preview.txt </dev/null || code=$?
  cat preview.txt
  if [ "$code" -eq 64 ] && [ -s preview.txt ]; then code=0; fi
  if [ "$code" -ne 0 ]; then exit "$code"; fi
  echo "this is only shown: type the name of the stack as the confirmation to carry it out" >&2
fi
