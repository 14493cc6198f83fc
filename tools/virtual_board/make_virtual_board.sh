#!/bin/sh
# Start emulated boards: full Debian systems for ARM with sshd and a performance-monitoring unit,
# made from nothing but Debian packages. See usage() below.
set -eu

program=make_virtual_board
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
parts=$here

usage() {
    cat <<'END'
Usage: make_virtual_board.sh [OPTION...]

Start emulated boards (QEMU) and write what is needed to use them: boards.yaml for edgeprof, an
ssh_config, keys, known_hosts. The first run downloads about 65 MB of Debian packages; later runs
take seconds. A board forgets everything when it stops. No root needed.

  --boards N          start N boards (default 1)
  --cpu MODEL         QEMU's processor model (default cortex-a72; also cortex-a53, -a57, -a76, max)
  --cpus N            processors of each board (default 2; 1 with --exact)
  --memory SIZE       memory of each board (default 2G)
  --exact             count exactly: one processor, time derived from executed instructions, so
                      that a known loop reads the same number of cycles on every run. Such a board
                      keeps one processor of this machine busy even when idle
  --suite NAME        Debian release: bullseye, bookworm (default), trixie
  --kernel NAME       Debian release of the kernel (default: the suite's)
  --arch NAME         user space: arm64 (default) or armhf (32 bits, on the 64-bit kernel)
  --machine NAME      virt (default) or raspi3b (slower; one board of four Cortex-A53, 1G)
  --devices           add fake devices by a small kernel module: cpufreq, a thermal zone, an ina3221
                      power monitor; their values are set in /sys/module/fake_devices/parameters
  --add PACKAGE       also unpack this Debian package, and what it depends on (repeatable)
  --port N            first port on 127.0.0.1 (default 2270; ports in use are passed over)
  --lifetime SECONDS  stop the boards by themselves after this time (default 0: never)
  --output FOLDER     where the boards' files go (default ./virtual-boards)
  --cache FOLDER      packages and images (default $EDGEPROF_CACHE, else $XDG_CACHE_HOME/edgeprof,
                      else ~/.cache/edgeprof)
  --stop              stop the boards of FOLDER
  --dry-run           print what would be done
  --help              print this

Exit status: 0 done, 1 failed (one line on stderr says why), 2 wrong usage.

Example:
  make_virtual_board.sh --boards 2 --output /tmp/rack
  edgeprof boards check --boards /tmp/rack/boards.yaml
  make_virtual_board.sh --stop --output /tmp/rack
END
}

fail() {
    echo "$program: $*" >&2
    exit 1
}

misuse() {
    echo "$program: $*; see --help" >&2
    exit 2
}

take_value() { # OPTION VALUE
    case $1 in
        --add) packages="$packages $2" ;;
        --arch) architecture=$2 ;;
        --boards) n_boards=$2 ;;
        --cache) cache=$2 ;;
        --cpu) cpu=$2 ;;
        --cpus) cpus=$2 ;;
        --kernel) kernel=$2 ;;
        --lifetime) lifetime=$2 ;;
        --machine) machine=$2 ;;
        --memory) memory=$2 ;;
        --output) output=$2 ;;
        --port) port=$2 ;;
        --suite) suite=$2 ;;
    esac
}

parse_arguments() {
    n_boards=1 cpu=cortex-a72 cpus='' memory=2G exact=no suite=bookworm kernel='' architecture=arm64
    machine=virt devices=no packages='' port=2270 lifetime=0 output=./virtual-boards
    cache=${EDGEPROF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/edgeprof} action=start dry_run=no
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
            --exact) exact=yes ;;
            --devices) devices=yes ;;
            --stop) action=stop ;;
            --dry-run) dry_run=yes ;;
            --help | -h)
                usage
                exit 0
                ;;
            --add | --arch | --boards | --cache | --cpu | --cpus | --kernel | --lifetime | --machine | \
                --memory | --output | --port | --suite)
                [ $# -gt 0 ] || misuse "$option needs a value"
                take_value "$option" "$1"
                shift
                ;;
            *) misuse "unknown option '$option'" ;;
        esac
    done
    validate_arguments
}

validate_arguments() {
    for pair in "--boards:$n_boards" "--port:$port" "--lifetime:$lifetime" "--cpus:${cpus:-1}"; do
        case ${pair#*:} in
            '' | *[!0-9]*) misuse "${pair%%:*} wants a whole number, not '${pair#*:}'" ;;
        esac
    done
    [ "$n_boards" -ge 1 ] || misuse "--boards wants 1 or more"
    kernel=${kernel:-$suite}
    for release in "$suite" "$kernel"; do
        case $release in
            bullseye | bookworm | trixie) ;;
            *) misuse "unknown Debian release '$release' (bullseye, bookworm, trixie)" ;;
        esac
    done
    case $architecture in
        arm64 | armhf) ;;
        *) misuse "unknown architecture '$architecture' (arm64, armhf)" ;;
    esac
    case $cpu in
        '' | *[!a-z0-9,=_.-]*) misuse "no processor model: '$cpu'" ;;
    esac
    case ${memory%[MG]} in
        '' | *[!0-9]*) misuse "--memory wants a size such as 512M or 2G, not '$memory'" ;;
    esac
    case $machine in
        virt) flavour=cloud-arm64 ;;
        raspi3b)
            flavour=arm64 cpu=cortex-a53 cpus=4 memory=1G
            [ "$exact" = no ] || misuse "--exact works with --machine virt only"
            ;;
        *) misuse "unknown machine '$machine' (virt, raspi3b)" ;;
    esac
    [ "$devices" = no ] || flavour=arm64
    if [ "$exact" = yes ]; then
        [ "${cpus:-1}" -eq 1 ] || misuse "--exact works with one processor only"
        cpus=1
    fi
    cpus=${cpus:-2}
}

check_commands() {
    for command in apt-get dpkg-deb; do
        command -v "$command" >/dev/null 2>&1 ||
            fail "$command is needed: run this on Debian or a system derived from it"
    done
    missing=''
    need() { # COMMAND PACKAGE
        command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
    }
    need qemu-system-aarch64 qemu-system-arm
    need ssh openssh-client
    need ssh-keygen openssh-client
    need cpio cpio
    need mke2fs e2fsprogs
    need modprobe kmod
    need xz xz-utils
    need flock util-linux
    if [ "$devices" = yes ]; then
        need make make
        need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    fi
    [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
    [ -z "$missing" ] || fail "not installed here:$missing; run: apt-get install --no-install-recommends$missing"
    qemu-system-aarch64 -machine virt -cpu help | grep -q "^ *${cpu%%,*}\$" ||
        fail "QEMU here has no processor model '${cpu%%,*}' (qemu-system-aarch64 -machine virt -cpu help)"
}

key_of() { # WORD...: names a product in the cache by all that goes into it, which this file does not
    { echo "$*" && find "$parts" -type f ! -name '*.pyc' ! -name "$program.sh" | LC_ALL=C sort | xargs cat; } | sha256sum | cut -c 1-16
}

make_products() {
    image=$cache/virtual_board/root-$suite-$architecture-$(key_of "$packages").ext4
    kernel_folder=$cache/virtual_board/kernel-$kernel-$flavour-$(key_of "$devices")
    if [ "$dry_run" = yes ]; then
        for product in "$image" "$kernel_folder"; do
            [ -e "$product" ] && echo "use   $product" || echo "make  $product"
        done
        return
    fi
    mkdir -p "$cache/virtual_board"
    exec 9>"$cache/virtual_board/lock"
    flock 9
    if [ ! -e "$image" ]; then
        echo "making the root file system: Debian $suite, $architecture"
        # shellcheck disable=SC2086 # a list of names
        "$parts/make_root.sh" "$cache/virtual_board" "$architecture" "$suite" "$image" $packages ||
            fail "the root file system was not made; nothing was started"
    fi
    if [ ! -e "$kernel_folder" ]; then
        echo "making the kernel's folder: Debian $kernel, $flavour"
        rm -rf "$kernel_folder.part"
        "$parts/make_kernel.sh" "$cache/virtual_board" "$kernel" "$flavour" "$devices" "$kernel_folder.part" ||
            fail "the kernel was not made; nothing was started"
        mv "$kernel_folder.part" "$kernel_folder"
    fi
    exec 9>&-
}

make_identity() { # NAME: host key, and the board's own end of the initrd
    folder=$output/$1
    rm -rf "$folder"
    mkdir -p "$folder/identity/board"
    [ -e "$output/id" ] || ssh-keygen -q -t ed25519 -N '' -C edgeprof-virtual-board -f "$output/id"
    ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$folder/identity/board/ssh_host_ed25519_key"
    cp "$output/id.pub" "$folder/identity/board/authorized_keys"
    echo "$1" >"$folder/identity/board/hostname"
    {
        cat "$kernel_folder/initrd.gz"
        ( cd "$folder/identity" && find . | cpio --quiet -o -H newc -R 0:0 ) | gzip -n
    } >"$folder/initrd"
}

start_qemu() { # NAME PORT: in the background; its process id goes to FOLDER/NAME/pid
    folder=$output/$1
    set -- -nodefaults -display none -no-reboot -serial "file:$folder/console.log" \
        -m "$memory" -smp "$cpus" -kernel "$kernel_folder/vmlinuz" -initrd "$folder/initrd" \
        -netdev "user,id=network,hostfwd=tcp:127.0.0.1:$2-:22"
    settings='quiet nokaslr mitigations=off random.trust_bootloader=on panic=5'
    if [ "$machine" = raspi3b ]; then
        set -- "$@" -M raspi3b -dtb "$kernel_folder/bcm2837-rpi-3-b.dtb" \
            -drive "file=$image,format=raw,if=sd,snapshot=on" -device usb-net,netdev=network \
            -append "console=ttyAMA1,115200 $settings dwc_otg.fiq_fsm_enable=0"
    else
        set -- "$@" -M virt,gic-version=3 -cpu "$cpu" \
            -drive "file=$image,format=raw,if=none,id=disk,snapshot=on" -device virtio-blk-device,drive=disk \
            -device virtio-net-device,netdev=network -device virtio-rng-device \
            -append "console=ttyAMA0 $settings"
    fi
    if [ "$exact" = yes ]; then
        # One instruction is one nanosecond and one cycle; idle time is skipped, not slept.
        set -- "$@" -accel tcg,thread=single -icount shift=0,sleep=off
    else
        set -- "$@" -accel tcg,thread=multi
    fi
    timeout -k 5 "$lifetime" qemu-system-aarch64 "$@" </dev/null >"$folder/qemu.log" 2>&1 &
    echo $! >"$folder/pid"
}

board_runs() { # NAME: is its process alive, and is it ours?
    pid=$(cat "$output/$1/pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$output/$1/"
}

write_connections() { # from the ports in */port
    tag=virtual-${cpu%%,*}
    [ "$exact" = no ] || tag=$tag-exact
    : >"$output/known_hosts.new"
    : >"$output/ssh_config.new"
    echo "# Emulated boards ($machine, $cpu), started by $program.sh." >"$output/boards.yaml.new"
    echo "ssh_config: $output/ssh_config" >>"$output/boards.yaml.new"
    echo "boards:" >>"$output/boards.yaml.new"
    for name in $names; do
        board_port=$(cat "$output/$name/port")
        echo "[127.0.0.1]:$board_port $(cut -d ' ' -f 1,2 "$output/$name/identity/board/ssh_host_ed25519_key.pub")" \
            >>"$output/known_hosts.new"
        cat >>"$output/ssh_config.new" <<END
Host $name
    HostName 127.0.0.1
    Port $board_port
    User root
    IdentityFile $output/id
    IdentitiesOnly yes
    UserKnownHostsFile $output/known_hosts
    StrictHostKeyChecking yes

END
        cat >>"$output/boards.yaml.new" <<END
  $name: {tags: [$tag]}
END
    done
    for file in known_hosts ssh_config boards.yaml; do mv "$output/$file.new" "$output/$file"; done
}

log_in() { # NAME COMMAND SECONDS
    ssh -F "$output/ssh_config" -o BatchMode=yes -o ConnectTimeout="$3" -o LogLevel=ERROR "$1" "$2" \
        </dev/null 2>>"$output/$1/ssh.log"
}

await_login() { # NAME: prints what the board says of itself; restarts it where its port was taken
    began=$(date +%s) waited=0
    while [ "$waited" -lt 600 ]; do
        if ! board_runs "$1"; then
            grep -q 'host forwarding' "$output/$1/qemu.log" ||
                fail "$1: QEMU ended: $(cat "$output/$1/console.log" "$output/$1/qemu.log" | tail -n 1)"
            echo "$next_port" >"$output/$1/port"
            start_qemu "$1" "$next_port"
            next_port=$((next_port + 1))
            write_connections
        fi
        # Each try gets longer: on a busy machine the handshake alone takes more than a few seconds,
        # and a board that is always cut off in the middle of it never lets anyone in.
        if facts=$(log_in "$1" 'uname -srm' $((3 + waited / 4))); then
            return 0
        fi
        sleep 0.3
        waited=$(($(date +%s) - began))
    done
    fail "$1: no login after $waited s; its console is in $output/$1/console.log"
}

start_boards() {
    names=''
    index=1
    while [ "$index" -le "$n_boards" ]; do
        names="$names virtual-$index"
        index=$((index + 1))
    done
    for old in "$output"/virtual-*/; do
        [ -d "$old" ] || continue
        ! board_runs "$(basename "$old")" ||
            fail "boards run in $output already; stop them first: $0 --stop --output $output"
    done
    make_products
    if [ "$dry_run" = yes ]; then
        for name in $names; do
            echo "start $name: $machine, $cpu, $cpus processor(s), exact: $exact, port $port or the next free one"
        done
        echo "write $output/boards.yaml $output/ssh_config $output/known_hosts $output/id"
        return
    fi
    trap 'stop_boards >/dev/null; exit 130' INT TERM
    started=$(date +%s)
    next_port=$port
    for name in $names; do
        make_identity "$name"
        echo "$next_port" >"$output/$name/port"
        start_qemu "$name" "$next_port"
        next_port=$((next_port + 1))
    done
    write_connections
    for name in $names; do
        await_login "$name"
        echo "$name  127.0.0.1:$(cat "$output/$name/port")  $facts  login after $(($(date +%s) - started)) s"
    done
    show_connections
}

show_connections() {
    cat <<END
key          $output/id
known_hosts  $output/known_hosts
ssh          ssh -F $output/ssh_config ${names##* }
edgeprof     edgeprof boards check --boards $output/boards.yaml
stop         $0 --stop --output $output
END
}

stop_boards() {
    n_stopped=0
    for folder in "$output"/virtual-*/; do
        [ -d "$folder" ] || continue
        name=$(basename "$folder")
        board_runs "$name" || continue
        if [ "$dry_run" = yes ]; then
            echo "stop  $name (process $pid)"
            continue
        fi
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
        rm -f "$folder/pid"
        n_stopped=$((n_stopped + 1))
    done
    [ "$dry_run" = yes ] || echo "stopped $n_stopped board(s) of $output"
}

PATH=$PATH:/usr/sbin:/sbin
parse_arguments "$@"
if [ "$action" = stop ]; then
    [ -d "$output" ] || fail "no such folder: $output"
    output=$(cd "$output" && pwd)
    stop_boards
    exit 0
fi
check_commands
if [ "$dry_run" = no ]; then
    mkdir -p "$output" "$cache" || fail "cannot make $output and $cache"
    output=$(cd "$output" && pwd)
    cache=$(cd "$cache" && pwd)
fi
start_boards
