#!/bin/bash
# boot.sh WORK: boots the system's own systemd on a throw-away copy of the root folder (overlay, in
# memory), in namespaces of its own, and has it run WORK/inside.sh as root. Nothing outside WORK and a
# control group that goes again is touched. WORK/opt is /opt/sluice inside, WORK itself /outside.
# Exit code 77: this host lets nobody do so. Root.
set -u
work=$1
group=

# Files that a boot needs are this shell's to make: it runs in the new namespaces.
inside_namespaces() {
    local root=$work/root name
    set -e
    mkdir -p "$root" "$work/upper"
    mount --make-rprivate /
    mount -t tmpfs none "$work/upper"
    mkdir "$work/upper/files" "$work/upper/work"
    mount -t overlay none "$root" \
        -o "lowerdir=/,upperdir=$work/upper/files,workdir=$work/upper/work"
    mount -t proc none "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro none "$root/sys"
    mount -t cgroup2 none "$root/sys/fs/cgroup"
    for name in run tmp dev; do mount -t tmpfs none "$root/$name"; done
    mkdir "$root/dev/shm" "$root/dev/pts" "$root/outside"
    chmod 1777 "$root/tmp" "$root/dev/shm"
    for name in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
        IFS=: read -r node major minor <<<"$name"
        mknod -m 666 "$root/dev/$node" c "$major" "$minor"
    done
    mount -t devpts -o newinstance,ptmxmode=0666 none "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mkdir -p "$root/opt/sluice" "$root/etc/systemd/system"
    mount --bind "$work" "$root/outside"
    mount --bind "$work/opt" "$root/opt/sluice"
    cp "$work"/units/* "$root/etc/systemd/system/"
    cat >"$root/etc/systemd/system/inside.target" <<'END'
[Unit]
DefaultDependencies=no
Wants=inside.service
END
    cat >"$root/etc/systemd/system/inside.service" <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
StandardOutput=file:/outside/said
StandardError=inherit
ExecStart=/bin/bash /outside/inside.sh
ExecStopPost=/bin/systemctl --force --force exit
END
    ip link set lo up
    mkdir "$root/before"
    cd "$root"
    pivot_root . before
    umount -l /before
    container=other exec /lib/systemd/systemd --system --unit=inside.target --log-target=null \
        --show-status=no </dev/null
}

if [ "${2:-}" = inside ]; then
    inside_namespaces
    exit 1
fi

leave() {
    [ -z "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
}
trap leave EXIT
above=$(findmnt -t cgroup2 -n -o TARGET | head -n 1)
[ -n "$above" ] || exit 77
group=$above/sluice-test-$$
mkdir "$group" 2>/dev/null || exit 77
unshare -C -i -m -n -p -u --fork true 2>/dev/null || exit 77
# A shell that joins the group, so that this one can remove it afterwards.
bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare -C -i -m -n -p -u --fork --kill-child "$2" "$3" inside' \
    - "$group" "$0" "$work"
