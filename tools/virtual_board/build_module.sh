#!/bin/sh
# build_module.sh CACHE SUITE FLAVOUR SOURCE MODULE: cross-compile the kernel module in the folder
# SOURCE (a Makefile with obj-m) against Debian's arm64 kernel headers, and write it to MODULE.
# Needs make and Debian's aarch64-linux-gnu-gcc; nothing is installed.
set -eu

cache=$1 suite=$2 flavour=$3 source=$4 module=$5
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build_architecture=$(dpkg --print-architecture)

names_of_dependencies() { # ARCHITECTURE PACKAGE PATTERN
    "$here/foreign_apt.sh" "$cache" "$1" "$suite" apt-cache depends "$2" |
        awk -v pattern="$3" '$1 == "Depends:" && $2 ~ pattern { print $2 }'
}

unpack() { # ARCHITECTURE PACKAGE
    ( cd "$work" && "$here/foreign_apt.sh" "$cache" "$1" "$suite" apt-get download -qq "$2" )
    dpkg-deb --fsys-tarfile "$work/${2%%:*}"_*.deb | tar -xf - -C "$work" --no-same-owner
}

work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$here/foreign_apt.sh" "$cache" arm64 "$suite" apt-get update -qq
"$here/foreign_apt.sh" "$cache" "$build_architecture" "$suite" apt-get update -qq

headers=$(names_of_dependencies arm64 "linux-headers-$flavour" '^linux-headers-[0-9]' | head -n 1)
unpack arm64 "$headers"
for package in $(names_of_dependencies arm64 "$headers" '^linux-headers-.*common'); do unpack arm64 "$package"; done
# kbuild's programs run here.
for package in $(names_of_dependencies arm64 "$headers" '^linux-kbuild-'); do
    unpack "$build_architecture" "$package"
done

release=${headers#linux-headers-}
tree=$work/usr/src/$headers
# The headers' makefiles name their neighbours by absolute paths.
find "$tree" "$work"/usr/src/*common* -maxdepth 1 \( -name Makefile -o -name .kernelvariables \) \
    -exec sed -i "s| /usr/src/| $work/usr/src/|g; s|(abspath /usr/|(abspath $work/usr/|g" {} +

# The headers ask for the compiler release that built the kernel, and for an option of GCC 14; for a
# small module any release and the older spelling do.
cp -r "$source" "$work/module"
make -s -C "$tree" M="$work/module" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
    CC=aarch64-linux-gnu-gcc CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT= modules >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    ! grep -q 'GLIBC_.* not found' "$work/log" ||
        echo "make_virtual_board: the kernel tools of Debian $suite need a newer system than this one; take --kernel bookworm" >&2
    echo "make_virtual_board: module in $source does not build against Linux $release" >&2
    exit 1
}
aarch64-linux-gnu-strip --strip-debug -o "$module" "$work"/module/*.ko
