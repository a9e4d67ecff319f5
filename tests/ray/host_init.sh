#!/bin/sh
# The first process of a pretended host, in network, mount, process, name and IPC spaces of its own.
# host_init.sh NAME PUBLIC_KEY SSHD PATH...: PATHs are seen here as they are outside, read-only.
set -e
name=$1 key=$2 sshd=$3; shift 3
hostname "$name"
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
cp "$key" /mnt/key
number=0
for path in "$@"; do
  number=$((number + 1)); mkdir "/mnt/$number"; mount --bind "$path" "/mnt/$number"
done
for place in /tmp /root /run /dev/shm /home; do mount -t tmpfs -o mode=755 tmpfs $place; done
chmod 1777 /tmp /dev/shm; chmod 700 /root
number=0
for path in "$@"; do
  number=$((number + 1)); mkdir -p "$path"; mount --bind "/mnt/$number" "$path"
  mount -o remount,ro,bind "$path"
done
if ! grep -q ^sshd: /etc/passwd; then  # whom the server's unprivileged part runs as
  { cat /etc/passwd; echo 'sshd:x:99:65534::/run/sshd:/usr/sbin/nologin'; } > /mnt/passwd
  mount --bind /mnt/passwd /etc/passwd
fi
mkdir -p /run/sshd /root/.ssh; cp /mnt/key /root/.ssh/authorized_keys
chmod 700 /root/.ssh; chmod 600 /root/.ssh/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f /run/sshd/host_key
ip link set lo up
exec "$sshd" -f /dev/null -D -e -p 22 -h /run/sshd/host_key -o PidFile=none -o UsePAM=no \
  -o PermitRootLogin=yes -o StrictModes=no -o MaxSessions=100 -o MaxStartups=100 \
  -o SetEnv="PATH=$PATH"
