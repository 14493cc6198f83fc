#!/bin/sh
# make_kernel.sh CACHE SUITE FLAVOUR DEVICES FOLDER: put into FOLDER a Debian arm64 kernel (vmlinuz),
# an initrd with the drivers of a virtual board, the kernel's release (release) and device trees.
#   FLAVOUR  "cloud-arm64" (small, virtual hardware only) or "arm64" (every driver)
#   DEVICES  "yes" adds fake_devices: a frequency driver, a thermal zone, a power monitor
# The initrd holds no identity: make_virtual_board.sh appends one for each board.
set -eu

cache=$1 suite=$2 flavour=$3 devices=$4 folder=$5
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# What a board needs before its root file system: the paravirtual devices of -M virt, the SD card and
# USB network of -M raspi3b; and this one's thermal zone. Names that a kernel lacks or has built in are passed over.
drivers="virtio_mmio virtio_pci virtio_blk virtio_net virtio-rng ext4
    bcm2835 sdhci_iproc mmc_block dwc2 cdc_ether rndis_host bcm2835_thermal"

unpack() {
    package=$1
    "$here/foreign_apt.sh" "$cache" arm64 "$suite" apt-get update -qq
    depends=$("$here/foreign_apt.sh" "$cache" arm64 "$suite" apt-cache depends "$package" |
        awk '$1 == "Depends:" && $2 ~ /^linux-(image|headers)-[0-9]/ { print $2; exit }')
    ( cd "$work" && "$here/foreign_apt.sh" "$cache" arm64 "$suite" apt-get download -qq "$depends" )
    dpkg-deb --fsys-tarfile "$work/$depends"_*.deb | tar -xf - -C "$work" --no-same-owner
    [ -e "$work/lib" ] || ln -s usr/lib "$work/lib"
}

add_module() { # FILE: into the initrd, unpacked, once
    name=$(basename "$1" | sed 's/\.ko.*//')
    [ ! -e "$initrd/modules/$name.ko" ] || return 0
    case $1 in
        *.xz) xz -dc "$1" >"$initrd/modules/$name.ko" ;;
        *) cp "$1" "$initrd/modules/$name.ko" ;;
    esac
    echo "$name" >>"$initrd/modules/order"
}

add_driver() { # NAME: the module and those it needs, in loading order
    modprobe -d "$work" -S "$release" --show-depends "$1" 2>/dev/null |
        while read -r verb file _; do
            [ "$verb" != insmod ] || add_module "$file"
        done
}

PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
unpack "linux-image-$flavour"
release=$(ls "$work/lib/modules")
depmod -b "$work" "$release"

initrd=$work/initrd
mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/modules" "$initrd/newroot" "$initrd/proc" "$initrd/sys"
: >"$initrd/modules/order"
for driver in $drivers; do add_driver "$driver"; done
if [ "$devices" = yes ]; then
    add_driver hwmon
    "$here/build_module.sh" "$cache" "$suite" "$flavour" "$here/fake_devices" "$work/fake_devices.ko"
    add_module "$work/fake_devices.ko"
fi

( cd "$work" && "$here/foreign_apt.sh" "$cache" arm64 "$suite" apt-get download -qq busybox-static )
dpkg-deb --fsys-tarfile "$work"/busybox-static_*.deb |
    tar -xOf - ./bin/busybox ./usr/bin/busybox 2>/dev/null >"$initrd/bin/busybox" || :
chmod 755 "$initrd/bin/busybox"
for applet in cat chmod chown cp insmod mount reboot sh switch_root umount usleep; do
    ln -s busybox "$initrd/bin/$applet"
done
cp "$here/guest/init" "$initrd/init"
chmod 755 "$initrd/init"

mkdir -p "$folder"
( cd "$initrd" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 ) | gzip -9n >"$folder/initrd.gz"
cp "$work"/boot/vmlinuz-* "$folder/vmlinuz"
find "$work/usr/lib" -name 'bcm2837-rpi-3-b.dtb' -exec cp {} "$folder/" \;
echo "$release" >"$folder/release"
