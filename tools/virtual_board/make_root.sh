#!/bin/sh
# make_root.sh CACHE ARCHITECTURE SUITE IMAGE [PACKAGE...]: write IMAGE, an ext4 file system with a
# minimal Debian of another architecture: sshd, Python and what the firmware scripts use.
# Packages are unpacked only: no emulation, no maintainer scripts (what matters of those is done
# here by hand). Needs no root: where this user is not root, a user namespace makes the files so.
set -eu

cache=$1 architecture=$2 suite=$3 image=$4
shift 4
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

packages="base-files base-passwd bash busybox-static coreutils dash findutils gawk grep gzip hostname
    iproute2 kmod libc-bin libgomp1 libstdc++6 login mount openssh-server openssh-sftp-server procps
    python3 sed tar util-linux $*"
# Only maintainer scripts need these.
unneeded='dpkg|perl|perl-base|perl-modules-[0-9.]*|libperl5[0-9.]*|usrmerge'

download() { # prints the package files
    "$here/foreign_apt.sh" "$cache" "$architecture" "$suite" apt-get update -qq >&2
    # shellcheck disable=SC2086 # a list of names
    "$here/foreign_apt.sh" "$cache" "$architecture" "$suite" \
        apt-get install -qq -y --download-only --no-install-recommends $packages >&2
    archives=$cache/apt/$suite-$architecture/archives
    # shellcheck disable=SC2086
    "$here/foreign_apt.sh" "$cache" "$architecture" "$suite" \
        apt-get install -s --no-install-recommends $packages |
        sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1 \2/p' |
        grep -Ev "^($unneeded) " |
        while read -r name version; do
            echo "$archives/${name}_$(echo "$version" | sed 's/:/%3a/')"_*.deb
        done
}

unpack() {
    # The directories that Debian has merged into /usr; old releases still ship them apart.
    mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib"
    ln -s usr/bin usr/sbin usr/lib "$root/"
    while read -r package; do
        dpkg-deb --fsys-tarfile "$package" |
            tar -xf - -C "$root" --keep-directory-symlink --no-same-owner \
                --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
    done
}

configure() { # what the maintainer scripts would have done
    cd "$root"
    mkdir -p dev etc/ssh home/pi/.ssh opt proc root/.ssh run sys tmp usr/local/bin usr/local/lib var/log
    sed 's|^root:.*|root:*:0:0:root:/root:/bin/bash|' usr/share/base-passwd/passwd.master >etc/passwd
    cp usr/share/base-passwd/group.master etc/group
    echo 'sshd:*:101:65534::/run/sshd:/usr/sbin/nologin' >>etc/passwd
    echo 'pi:*:1000:1000:pi:/home/pi:/bin/bash' >>etc/passwd
    echo 'pi:x:1000:' >>etc/group
    chmod 700 root/.ssh home/pi/.ssh
    : >etc/fstab
    ln -sf dash usr/bin/sh
    ln -sf gawk usr/bin/awk
    for applet in getty halt init poweroff reboot; do ln -sf ../bin/busybox "usr/sbin/$applet"; done
    # The default alternative of the linear algebra libraries (numpy's, when that is wanted).
    for library in usr/lib/*/blas/*.so.3 usr/lib/*/lapack/*.so.3; do
        [ -e "$library" ] || continue
        folder=$(dirname "$library")
        ln -sf "$(basename "$folder")/$(basename "$library")" "$(dirname "$folder")/"
    done
    cp "$here/guest/inittab" "$here/guest/rcS" etc/
    cp "$here/guest/sshd_config" etc/ssh/
    chmod 755 etc/rcS
    cd "$OLDPWD"
}

pack() {
    truncate -s 2G "$work/disk"
    as_root=''
    [ "$(id -u)" -eq 0 ] || as_root='unshare --map-root-user'
    $as_root mke2fs -q -t ext4 -O '^has_journal' -m 0 -E root_owner=0:0,lazy_itable_init=1 \
        -d "$root" "$work/disk"
    mv "$work/disk" "$image"
}

PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
download >"$work/packages"
unpack <"$work/packages"
configure
pack
