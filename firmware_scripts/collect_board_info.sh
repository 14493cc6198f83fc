#!/bin/sh
# Collects what /proc, /sys and /etc say about a board, scrubbed, as a tree of plain files.
set -u

ROOT=${EDGEPROF_ROOT:-}
ROOT=${ROOT%/}
OUTPUT=
DRY_RUN=no

usage() {
    cat <<END
Usage: collect_board_info.sh -o DIR [--dry-run]

Copies the files that tell the state of a board for measuring (processor, clocks, heat, memory,
power mode) into DIR, as 'edgeprof doctor --root DIR' and the tests read them. Needs no root, and
changes nothing on the board.

Serial numbers, MAC addresses, UUIDs and the host name are taken out. Look through DIR before you
publish it. A ':' in a file name is written %3A.

  -o, --output DIR     a new folder
  --dry-run            print the files that would be copied
  -h, --help           this text

Exit status: 0 done, 1 failed, 2 wrong usage. EDGEPROF_ROOT sets another root folder.
END
}

fail() {
    echo "collect_board_info.sh: $*" >&2
    exit 1
}
wrong_usage() {
    echo "collect_board_info.sh: $* (--help explains)" >&2
    exit 2
}

# Patterns below the root; what is not there is passed over.
PATTERNS='
etc/nv_tegra_release etc/nvpmodel.conf etc/os-release var/lib/nvpmodel/status
proc/cpuinfo proc/device-tree/compatible proc/device-tree/model proc/loadavg proc/meminfo
proc/self/status proc/swaps proc/uptime
proc/sys/kernel/arch proc/sys/kernel/nmi_watchdog proc/sys/kernel/osrelease
proc/sys/kernel/perf_event_paranoid proc/sys/kernel/perf_user_access
proc/sys/kernel/sched_rt_period_us proc/sys/kernel/sched_rt_runtime_us proc/sys/vm/swappiness
sys/bus/event_source/devices/arm*/cpus sys/bus/event_source/devices/cpu*/cpus
sys/bus/iio/devices/iio*/in_current*_input sys/bus/iio/devices/iio*/in_power*_input
sys/bus/iio/devices/iio*/in_voltage*_input sys/bus/iio/devices/iio*/name
sys/bus/iio/devices/iio*/rail_name_*
sys/class/devfreq/*/available_frequencies sys/class/devfreq/*/available_governors
sys/class/devfreq/*/cur_freq sys/class/devfreq/*/device/of_node/name sys/class/devfreq/*/governor
sys/class/devfreq/*/max_freq sys/class/devfreq/*/min_freq
sys/class/dmi/id/product_name sys/class/dmi/id/sys_vendor
sys/class/hwmon/hwmon*/curr?_input sys/class/hwmon/hwmon*/in?_input
sys/class/hwmon/hwmon*/in?_label sys/class/hwmon/hwmon*/in0_lcrit_alarm
sys/class/hwmon/hwmon*/name sys/class/hwmon/hwmon*/power?_input
sys/class/hwmon/hwmon*/power?_label sys/class/hwmon/hwmon*/temp1_input
sys/class/thermal/cooling_device*/cur_state sys/class/thermal/cooling_device*/max_state
sys/class/thermal/cooling_device*/type sys/class/thermal/thermal_zone*/temp
sys/class/thermal/thermal_zone*/trip_point_*_hyst sys/class/thermal/thermal_zone*/trip_point_*_temp
sys/class/thermal/thermal_zone*/trip_point_*_type sys/class/thermal/thermal_zone*/type
sys/devices/platform/soc*/get_throttled sys/devices/platform/soc*/soc*/get_throttled
sys/devices/system/clocksource/clocksource0/current_clocksource
sys/devices/system/cpu/cpu[0-9]*/cpu_capacity
sys/devices/system/cpu/cpu[0-9]*/regs/identification/midr_el1
sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count
sys/devices/system/cpu/cpufreq/boost sys/devices/system/cpu/cpufreq/policy*/*
sys/devices/system/cpu/intel_pstate/no_turbo sys/devices/system/cpu/intel_pstate/status
sys/devices/system/cpu/isolated sys/devices/system/cpu/nohz_full sys/devices/system/cpu/online
sys/devices/system/cpu/smt/active sys/devices/system/cpu/smt/control
sys/hypervisor/type sys/kernel/mm/transparent_hugepage/enabled sys/kernel/realtime
'

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --dry-run) DRY_RUN=yes ;;
    -o | --output)
        [ $# -ge 2 ] || wrong_usage "$1 wants a folder"
        OUTPUT=$2
        shift
        ;;
    *) wrong_usage "unknown argument '$1'" ;;
    esac
    shift
done
[ "$DRY_RUN" = yes ] || [ -n "$OUTPUT" ] || wrong_usage "want -o DIR"

HOST=$(cat "$ROOT/proc/sys/kernel/hostname" "$ROOT/etc/hostname" 2>/dev/null | head -n 1)
# In a sed pattern a dot of the name stands for itself; a very short name would scrub too much.
case $HOST in
'' | ? | ?? | localhost) HOST_PATTERN='@no host name@' ;;
*) HOST_PATTERN=$(printf '%s' "$HOST" | sed 's/[][\\.*^$/]/\\&/g') ;;
esac
X='[0-9A-Fa-f]'
scrub() {
    # The device tree closes its texts with NUL.
    tr '\000' '\n' | sed -e '/^[Ss]erial[^A-Za-z]/d' -e '/^[Ss]erial$/d' \
        -e "s/$X$X\(:$X$X\)\{5\}/00:00:00:00:00:00/g" \
        -e "s/$X\{8\}-$X\{4\}-$X\{4\}-$X\{4\}-$X\{12\}/00000000-0000-0000-0000-000000000000/g" \
        -e "s/$HOST_PATTERN/board/g"
}

case $OUTPUT in
'' | /*) ;;
*) OUTPUT=$PWD/$OUTPUT ;;
esac
[ -d "$ROOT/" ] || fail "EDGEPROF_ROOT $ROOT: no such folder"
if [ "$DRY_RUN" = no ]; then
    [ ! -e "$OUTPUT" ] || fail "$OUTPUT: is there already; want a new folder"
    mkdir -p "$OUTPUT" || fail "$OUTPUT: cannot be made"
fi

cd "$ROOT/" || fail "$ROOT: cannot be entered"
set -f
# shellcheck disable=SC2086 # the list is to be split
set -- $PATTERNS
set +f
count=0
for pattern; do
    # shellcheck disable=SC2086,SC2231 # a pattern is to be expanded
    for file in $pattern; do
        if [ ! -f "$file" ] || [ ! -r "$file" ]; then continue; fi
        if [ "$DRY_RUN" = yes ]; then
            echo "$file"
            continue
        fi
        case $file in
        *:*) target=$OUTPUT/$(printf '%s' "$file" | sed 's/:/%3A/g') ;;
        *) target=$OUTPUT/$file ;;
        esac
        [ -d "${target%/*}" ] || mkdir -p "${target%/*}"
        # A file that the kernel refuses to read is a fact that is not there.
        if cat "$file" >"$OUTPUT/.raw" 2>/dev/null; then
            case $file in
            # Of this process only what a measurement would inherit.
            proc/self/status) grep '^Cpus_allowed_list' "$OUTPUT/.raw" | scrub >"$target" ;;
            *) scrub <"$OUTPUT/.raw" >"$target" ;;
            esac
            count=$((count + 1))
        fi
    done
done
[ "$DRY_RUN" = no ] || exit 0
rm -f "$OUTPUT/.raw"
[ "$count" -gt 0 ] || {
    rmdir "$OUTPUT"
    fail "${ROOT:-/}: nothing of a Linux system found"
}
if [ -z "$ROOT" ] && [ ! -f "$OUTPUT/proc/sys/kernel/arch" ]; then
    # Kernels before 6.1 have no such file.
    mkdir -p "$OUTPUT/proc/sys/kernel"
    uname -m >"$OUTPUT/proc/sys/kernel/arch"
fi
cat >"$OUTPUT/ORIGIN.md" <<END
# Origin

Captured by \`firmware_scripts/collect_board_info.sh\` on $(date -u +%Y-%m-%d). Serial numbers, MAC
addresses, UUIDs and the host name were taken out.
END
echo "$count files in $OUTPUT"
