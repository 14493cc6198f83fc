#!/bin/sh
# Power mode and clocks of an NVIDIA Jetson, through the vendor's tools where they are there.
NAME=jetson_clocks
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

MODE=

usage() {
    cat <<END
Usage: jetson_clocks.sh apply|restore|status [options]

Pins GPU, memory and CPU clocks of a Jetson to the maximum of its power mode: with the vendor's
jetson_clocks where it is installed, else the GPU's clock through devfreq.

  --mode ID            set this power mode first (nvpmodel -m ID). It outlives a reboot: a unit of systemd
                       or an entry of cron brings the old one back then, restore at any other time.
                       Modes that ask for a reboot are refused
END
    common_usage
}

option() {
    [ "$1" = --mode ] && [ $# -ge 2 ] || return 1
    is_integer "$2" || wrong_usage "--mode $2: want the number of a power mode"
    MODE=$2
    TAKEN=2
}

available() {
    if [ -f "$ROOT/etc/nv_tegra_release" ]; then return 0; fi
    if grep -q nvidia,tegra "$ROOT/proc/device-tree/compatible" 2>/dev/null; then return 0; fi
    echo "not a Jetson (no /etc/nv_tegra_release, no nvidia,tegra in the device tree)"
    return 1
}

current_mode() {
    sed -n 's/.*pmode:0*\([0-9][0-9]*\).*/\1/p' "$ROOT/var/lib/nvpmodel/status" 2>/dev/null
}

find_nvpmodel() {
    find_tool nvpmodel && return 0
    because "nvpmodel is not there: the power mode cannot be changed"
    return 1
}

# The tool asks before a reboot that some modes need: the answer is no.
change_mode() {
    find_nvpmodel || return 1
    echo no | "$TOOL" -m "$1" >/dev/null 2>&1
    [ "$(current_mode)" = "$1" ] || {
        because "power mode $1 was not taken (unknown, or it needs a reboot)"
        return 1
    }
}

undo_nvpmodel() {
    [ "$(current_mode)" != "$2" ] || return 0
    change_mode "$2" && say "power mode $2"
}

# Makes the board restore by itself when it starts, unless somebody does so before: with systemd
# where it runs, else with cron. Undone like any other change.
restore_at_boot() {
    if [ -d "$ROOT/run/systemd/system" ]; then
        unit=$ROOT/etc/systemd/system/edgeprof-$NAME.service
    elif [ -d "$ROOT/etc/cron.d" ]; then
        unit=$ROOT/etc/cron.d/edgeprof-$NAME
    else
        note "neither systemd nor cron here: after a reboot run $NAME.sh restore yourself"
        return 0
    fi
    record boot_unit "$unit" none
    if ! { keep_scripts && write_unit "$unit"; } 2>/dev/null; then
        because "$unit: cannot be written"
        return 1
    fi
    say "will restore at the next boot ($unit)"
}

write_unit() {
    command="/usr/bin/env EDGEPROF_ROOT=$ROOT EDGEPROF_STATE_DIR=$STATE_DIR"
    command="$command /bin/sh $KEPT/$NAME.sh restore"
    case $1 in
    *.service) wants=${1%/*}/multi-user.target.wants ;;
    *)
        printf '@reboot root %s\n' "$command" >"$1"
        return
        ;;
    esac
    mkdir -p "$wants" && ln -sf "../${1##*/}" "$wants/${1##*/}" && cat >"$1" <<END
[Unit]
Description=Restore what $NAME.sh of edgeprof set before the reboot
After=nvpmodel.service
ConditionPathExists=$JOURNAL

[Service]
Type=oneshot
ExecStart=$command

[Install]
WantedBy=multi-user.target
END
}

undo_boot_unit() {
    # It stays as long as there is something left to restore.
    [ ! -s "$JOURNAL.left" ] || return 1
    [ -f "$1" ] || return 0
    rm -f "$1" "${1%/*}/multi-user.target.wants/${1##*/}" && say "removed $1"
}

set_mode() {
    before_mode=$(current_mode)
    [ -n "$before_mode" ] || {
        because "the power mode in force is unknown (/var/lib/nvpmodel/status)"
        return 1
    }
    [ "$before_mode" != "$MODE" ] || return 0
    grep -q "POWER_MODEL ID=$MODE " "$ROOT/etc/nvpmodel.conf" 2>/dev/null || {
        because "no power mode $MODE in /etc/nvpmodel.conf"
        return 1
    }
    find_nvpmodel || return 1
    if [ "$DRY_RUN" = yes ]; then
        say "would set power mode: $before_mode -> $MODE"
        return 0
    fi
    restore_at_boot || return 1
    record nvpmodel mode "$before_mode"
    change_mode "$MODE" && say "power mode: $before_mode -> $MODE"
}

undo_stored_clocks() {
    [ -f "$1" ] || return 0
    find_tool jetson_clocks && "$TOOL" --restore "$1" >/dev/null && rm -f "$1" &&
        say "clocks restored by jetson_clocks"
}

pin_with_tool() {
    stored=$STATE_DIR/$NAME.stored
    if [ "$DRY_RUN" = yes ]; then
        say "would run jetson_clocks"
        return 0
    fi
    if [ ! -f "$stored" ]; then
        # --store asks before it overwrites; the file is new, and a half-written one is not kept.
        rm -f "$stored.new"
        "$TOOL" --store "$stored.new" </dev/null >/dev/null || {
            because "jetson_clocks --store failed"
            return 1
        }
        mv "$stored.new" "$stored"
    fi
    record stored_clocks "$stored" stored
    "$TOOL" >/dev/null || {
        because "jetson_clocks failed"
        return 1
    }
    say "clocks pinned by jetson_clocks"
}

pin_gpu() {
    for device in "$ROOT"/sys/class/devfreq/*; do
        read_value "$device/device/of_node/name" || continue
        case $VALUE in
        gpu | gp10b | gv11b | ga10b) ;;
        *) continue ;;
        esac
        read_value "$device/max_freq" || return 1
        set_file "$device/min_freq" "$VALUE" || return 1
    done
}

apply() {
    if [ -n "$MODE" ]; then set_mode || return 1; fi
    if find_tool jetson_clocks; then pin_with_tool; else pin_gpu; fi
}

main "$@"
