#!/bin/sh
# Quiets the board: stops timers and updaters, switches swap off, advises on isolated CPUs.
NAME=quiet_board
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

KEEP_SWAP=no
# Units that wake up by themselves and use the CPU or the disk. Only those that run are stopped.
UNITS='anacron.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
fstrim.timer fwupd-refresh.timer logrotate.timer man-db.timer motd-news.timer plocate-updatedb.timer
sysstat-collect.timer systemd-tmpfiles-clean.timer update-notifier-download.timer
update-notifier-motd.timer cron.service fwupd.service irqbalance.service packagekit.service
snapd.service unattended-upgrades.service'

usage() {
    cat <<END
Usage: quiet_board.sh apply|restore|status [options]

Stops timers and background updaters that are running, and switches swap off. Prints advice on
isolating CPUs; the boot configuration is never edited.

  --keep-swap          leave swap on
END
    common_usage
}

option() {
    case $1 in
    --keep-swap) KEEP_SWAP=yes ;;
    *) return 1 ;;
    esac
    TAKEN=1
}

available() {
    [ -f "$ROOT/proc/meminfo" ] && return 0
    echo "no $ROOT/proc/meminfo: not a Linux system"
    return 1
}

undo_service() {
    find_tool systemctl || return 1
    "$TOOL" is-active --quiet "$1" && return 0
    "$TOOL" start "$1" && say "started $1"
}

stop_units() {
    find_tool systemctl || return 0
    for unit in $UNITS; do
        "$TOOL" is-active --quiet "$unit" 2>/dev/null || continue
        if [ "$DRY_RUN" = yes ]; then
            say "would stop $unit"
            continue
        fi
        record service "$unit" active
        "$TOOL" stop "$unit" || {
            because "$unit: cannot be stopped"
            return 1
        }
        say "stopped $unit"
    done
}

undo_swap() { # DEVICE PRIORITY
    grep -q "^$1[[:blank:]]" "$ROOT/proc/swaps" 2>/dev/null && return 0
    find_tool swapon || return 1
    # A negative priority is the kernel's own choice and cannot be asked for.
    case $2 in
    -*) "$TOOL" "$1" ;;
    *) "$TOOL" -p "$2" "$1" ;;
    esac && say "swap on: $1"
}

memory_kib() { sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" "$ROOT/proc/meminfo"; }

swap_off() {
    [ "$KEEP_SWAP" = no ] && [ -f "$ROOT/proc/swaps" ] || return 0
    find_tool swapoff || return 0
    used=$(($(memory_kib SwapTotal) - $(memory_kib SwapFree)))
    if [ "$((used * 2))" -gt "$(memory_kib MemAvailable)" ]; then
        note "swap stays on: $used kB of it are in use, $(memory_kib MemAvailable) kB memory available"
        return 0
    fi
    # The last first: restored the other way round they get their priorities again.
    while read -r device _ _ _ priority; do
        [ -n "$device" ] || continue
        if [ "$DRY_RUN" = yes ]; then
            say "would switch swap off: $device"
            continue
        fi
        record swap "$device" "$priority"
        if ! "$TOOL" "$device"; then
            because "$device: swap cannot be switched off"
            return 1
        fi
        say "swap off: $device"
    done <<END
$(sed 1d "$ROOT/proc/swaps" | sed '1!G;h;$!d')
END
}

# The last CPUs make the quietest place; the first one takes the interrupts.
advise_isolation() {
    read_value "$ROOT/sys/devices/system/cpu/isolated" && [ -n "$VALUE" ] && return 0
    read_value "$ROOT/sys/devices/system/cpu/online" || return 0
    case $VALUE in
    *-*) last=${VALUE##*-} ;;
    *) return 0 ;;
    esac
    for file in /boot/firmware/cmdline.txt /boot/cmdline.txt /boot/extlinux/extlinux.conf \
        /boot/armbianEnv.txt /etc/default/grub; do
        [ -f "$ROOT$file" ] || continue
        say "advice: for the quietest runs add 'isolcpus=$last nohz_full=$last rcu_nocbs=$last' to" \
            "the kernel's arguments in $file yourself, reboot, and measure with --cpus $last"
        return 0
    done
}

apply() {
    stop_units && swap_off && advise_isolation
}

main "$@"
