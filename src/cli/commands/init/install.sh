# Downloads a released lifeboat, compares its SHA-256 before anything of it runs, and puts it on the path.
set -e
fail() {
  echo "error: $1" >&2
  exit 1
}
case "$(uname -s)/$(uname -m)" in
  Linux/x86_64) target=x86_64-unknown-linux-musl ;;
  Linux/aarch64 | Linux/arm64) target=aarch64-unknown-linux-musl ;;
  Darwin/arm64) target=aarch64-apple-darwin ;;
  Darwin/x86_64) target=x86_64-apple-darwin ;;
  *) fail "there is no released lifeboat for $(uname -s) on $(uname -m)" ;;
esac
version="${LIFEBOAT_VERSION#v}"
case "$version" in
  '' | *[!0-9A-Za-z.+-]*) fail "'$LIFEBOAT_VERSION' is no version" ;;
esac
name="lifeboat-$version-$target"
address="$LIFEBOAT_SOURCE/releases/download/v$version/$name.tar.gz"
folder="$(mktemp -d)"
download() {
  curl --fail --silent --show-error --location --proto '=https,file' --proto-redir '=https' --retry 3 --max-time 300 \
    --output "$folder/$2" "$1" || fail "$1 cannot be downloaded"
}
download "$address" archive
allowed="${LIFEBOAT_SHA256:-}"
if [ -z "$allowed" ]; then
  echo "no checksum was given: the one that the release publishes is compared" >&2
  download "$address.sha256" checksum
  allowed="$(cut -d ' ' -f 1 "$folder/checksum")"
fi
if command -v sha256sum >/dev/null; then
  found="$(sha256sum "$folder/archive")"
else
  found="$(shasum -a 256 "$folder/archive")"
fi
found="${found%% *}"
matches=no
for digest in $allowed; do
  case "$digest" in
    *[!0-9a-f]*) fail "'$digest' is no SHA-256 in lower-case hexadecimal digits" ;;
  esac
  [ "${#digest}" -eq 64 ] || fail "'$digest' is no SHA-256: it has ${#digest} digits, not 64"
  if [ "$digest" = "$found" ]; then matches=yes; fi
done
[ "$matches" = yes ] || fail "$address has the SHA-256 $found, which is not the one expected: $allowed"
tar -xzf "$folder/archive" -C "$folder"
lifeboat="$folder/$name"
[ -x "$lifeboat/lifeboat" ] || fail "$address contains no $name/lifeboat"
"$lifeboat/lifeboat" --version
if [ -n "${GITHUB_PATH:-}" ]; then echo "$lifeboat" >>"$GITHUB_PATH"; fi
PATH="$lifeboat:$PATH"
