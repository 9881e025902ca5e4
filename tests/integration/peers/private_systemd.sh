#!/bin/sh
# The first process in namespaces of its own, and soon systemd: what it can write to is
# memory, or a copy below the directory $1. Python is in $2, regbroker in $3, and the
# packages that it needs in $4.
set -eu
directory=$1

mount --no-mtab --make-rprivate /
mount --no-mtab -t tmpfs -o mode=755,nosuid,nodev tmpfs /run

# What the unit starts is in /opt: a service user sees nobody's home.
mount --bind "$2" "$directory/opt/python"
mount --bind "$3" "$directory/opt/source"
mount --bind "$4" "$directory/opt/packages"
mount --rbind "$directory/opt" /opt
mount --bind "$directory/etc" /etc

# What is the kernel's, and everybody's, stays as it is.
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
for path in /proc/sys /proc/sysrq-trigger; do
    [ -e "$path" ] || continue
    mount --bind "$path" "$path"
    mount -o remount,bind,ro "$path"
done

dev=$directory/dev
mkdir "$dev"
mount -t tmpfs -o mode=755,nosuid tmpfs "$dev"
mkdir "$dev/pts" "$dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dev/shm"
for name in null zero full random urandom tty; do
    touch "$dev/$name"
    mount --bind "/dev/$name" "$dev/$name"
done
ln -s pts/ptmx "$dev/ptmx"
ln -s /proc/self/fd "$dev/fd"
mount --rbind "$dev" /dev

mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /var
mkdir -m 755 /var/cache /var/lib /var/log
mkdir -m 1777 /var/tmp
ln -s /run /var/run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
mount -o remount,bind,ro /
# as systemd finds it in a container
mount --make-rshared /

cd /
capabilities=-sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog,-wake_alarm
exec env -i \
    container=test LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    SYSTEMD_UNIT_PATH=/etc/systemd/system \
    SYSTEMD_GENERATOR_PATH=/etc/systemd/none \
    SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/etc/systemd/none \
    setpriv --bounding-set="$capabilities,-audit_control,-audit_read" \
    /lib/systemd/systemd --system --unit=multi-user.target \
    --log-level=debug --log-target=journal --show-status=no
