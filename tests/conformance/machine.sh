#!/usr/bin/env bash
# A machine as Linode would make it from linode/debian12, in memory: Debian's own packages, and Debian's own cloud-init over
# the user data of the example. `tests/conformance/machine.rs` runs it as root in namespaces of its own, so that whatever is
# mounted or started here ends with them.
#
#   machine.sh reach FOLDER PASSWORD   whether Debian's packages can be had here
#   machine.sh make FOLDER PASSWORD    what FOLDER/user-data asks for, as cloud-init puts it there; then, with no network
#                                      but its own loopback:
#   machine.sh ask FOLDER PASSWORD     starts it, and says what its health page answers, case by case
set -euo pipefail
work="$1" folder="$(cd "$2" && pwd)" password="$3"
memory="$folder/memory" root="$folder/memory/root"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
inside() { chroot "$root" "$@"; }
# One module of cloud-init, as the machine's boot would run it.
cloud_init() { inside cloud-init --file /user-data single --name "$1" --frequency always; }

# Packages of this machine's own lists, or of fresh ones where those are old or missing; the machine's are left as they are.
download() {
  cd "$memory"
  apt-get -qq download "$@" 2>/dev/null && return
  mkdir -p lists/partial cache/archives/partial
  local own=(-o "Dir::State::lists=$memory/lists" -o "Dir::Cache=$memory/cache")
  apt-get -qq "${own[@]}" update && apt-get -qq "${own[@]}" download "$@"
}

# Whether Debian's packages can be had at all.
reach() {
  memory="$(mktemp -d)"
  download debootstrap || { rm -rf "$memory"; return 1; }
  rm -rf "$memory"
}

make() {
  # In memory nothing has to be flushed to disk, and nothing is left.
  mkdir -p "$memory"
  mount -t tmpfs -o mode=755,size=3g tmpfs "$memory"
  mkdir "$root" "$memory/tools" "$memory/bin"
  (download debootstrap debian-archive-keyring)
  for package in "$memory"/*.deb; do dpkg-deb -x "$package" "$memory/tools"; done
  # debootstrap fetches with wget, which not every machine has; apt can do that too, and knows the proxy.
  cat >"$memory/bin/wget" <<'SHIM'
#!/bin/sh
target=
for word; do
  [ "$last" = -O ] && target="$word"
  last="$word"
done
[ -n "$target" ] || exit 0
exec /usr/lib/apt/apt-helper -qq download-file "$last" "$target"
SHIM
  chmod 755 "$memory/bin/wget"
  PATH="$memory/bin:$PATH" DEBOOTSTRAP_DIR="$memory/tools/usr/share/debootstrap" \
    "$memory/tools/usr/sbin/debootstrap" --variant=minbase \
    --keyring="$memory/tools/usr/share/keyrings/debian-archive-keyring.gpg" \
    bookworm "$root" http://deb.debian.org/debian
  # Nothing is started by being installed.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  cp /etc/hosts "$root/etc/hosts"
  local proxy=
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "$proxy" ] || echo "Acquire::http::Proxy \"$proxy\";" >"$root/etc/apt/apt.conf.d/proxy"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  inside apt-get -qq update
  # What the image has, and the database that the shop finds elsewhere.
  inside apt-get -qq install --no-install-recommends cloud-init iproute2 mariadb-server
  cp "$folder/user-data" "$root/user-data"
  # In cloud-init's order: files are written before packages are there.
  cloud_init write_files
  cloud_init package_update_upgrade_install
  exec unshare --pid --net --fork --kill-child bash "$0" ask "$folder" "$password"
}

# What systemd would do with the units that the packages bring; there is none in a folder.
stand_in_for_systemd() {
  cat >"$root/usr/local/bin/systemctl" <<'UNITS'
#!/bin/sh
set -eu
command="$1"
shift
for unit; do
  case "$unit" in --now) continue ;; esac
  test -f "/lib/systemd/system/$unit.service" || { echo "no unit $unit" >&2; exit 5; }
  case "$command $unit" in
    'enable php8.2-fpm') mkdir -p /run/php && php-fpm8.2 --daemonize ;;
    'enable nginx') nginx ;;
    'reload nginx') nginx -s reload ;;
    'reload php8.2-fpm') kill -USR2 "$(cat /run/php/php8.2-fpm.pid)" ;;
    *) echo "systemctl $command $unit is not stood in for" >&2; exit 1 ;;
  esac
done
UNITS
  chmod 755 "$root/usr/local/bin/systemctl"
}

# Status and body of the page, as a balancer would ask for it.
page() {
  inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/80
    printf "GET /healthcheck.php HTTP/1.0\r\nHost: shop.example.com\r\n\r\n" >&3
    tr -d "\r" <&3' | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p; $p' | paste -sd' '
}
say() { echo "$1: $(page)"; }

start_database() {
  mkdir -p "$root/run/mysqld"
  inside chown mysql:mysql /run/mysqld
  inside mariadbd --user=mysql >>"$memory/database.log" 2>&1 &
  for _ in $(seq 300); do
    inside mariadb-admin ping >/dev/null 2>&1 && return
    sleep 0.1
  done
  cat "$memory/database.log"
  return 1
}

ask() {
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/run"
  inside ip link set lo up
  stand_in_for_systemd
  inside sh -eu -c 'mkdir /srv/origin; cd /srv/origin; git init -q .; echo "{}" >composer.json; echo "<?php" >index.php
    git add .; git -c user.name=a -c user.email=a@example.com commit -qm a; git tag v1.4.2'
  # cloud-init makes a script of `runcmd`, and boot runs that.
  cloud_init runcmd
  inside sh -e "/$(cd "$root" && ls var/lib/cloud/instances/*/scripts/runcmd)" </dev/null
  start_database
  inside mariadb -e "CREATE DATABASE woocommerce; CREATE TABLE woocommerce.wp_options (option_id INT);
    CREATE USER shop@'127.0.0.1' IDENTIFIED BY 'another'; GRANT SELECT ON woocommerce.* TO shop@'127.0.0.1';"
  say 'another password'
  inside mariadb -e "ALTER USER shop@'127.0.0.1' IDENTIFIED BY '$password'"
  say 'all is well'
  inside chown root:root /etc/shop/environment
  say 'a file that only root reads'
  inside chown root:www-data /etc/shop/environment
  say 'its rights again'
  inside mariadb -e 'RENAME TABLE woocommerce.wp_options TO woocommerce.gone'
  say 'no table'
  inside mariadb -e 'RENAME TABLE woocommerce.gone TO woocommerce.wp_options'
  inside mariadb-admin shutdown
  say 'the database stopped'
  start_database
  say 'the database is back'
}

"$work"
