#!/bin/sh
# Pins the CPU clocks: boost off, governor performance, minimum = maximum frequency, per cluster.
NAME=pin_clocks
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

CPU=$ROOT/sys/devices/system/cpu
WANTED_KHZ=limit
WANTED_PER_POLICY=

usage() {
    cat <<END
Usage: pin_clocks.sh apply|restore|status [options]

Pins the clock of every CPU cluster: boost off, governor 'performance', minimum = maximum frequency.

  --khz KHZ|limit|max  frequency for all clusters: a number, the limit in force (default; it respects
                       the power mode of a Jetson), or the hardware's maximum
  --khz POLICY=KHZ     for one cluster, such as policy4=1800000; may be repeated
END
    common_usage
}

option() {
    case $1 in
    --khz)
        [ $# -ge 2 ] || wrong_usage "--khz wants a value"
        case $2 in
        limit | max) WANTED_KHZ=$2 ;;
        policy*=*)
            is_integer "${2#*=}" || wrong_usage "--khz $2: want POLICY=KHZ"
            WANTED_PER_POLICY="$WANTED_PER_POLICY $2"
            ;;
        *)
            is_integer "$2" || wrong_usage "--khz $2: want a number of kHz, limit, max or POLICY=KHZ"
            WANTED_KHZ=$2
            ;;
        esac
        TAKEN=2
        ;;
    *) return 1 ;;
    esac
}

available() {
    for policy in "$CPU"/cpufreq/policy*; do
        [ -f "$policy/scaling_governor" ] && return 0
    done
    echo "no CPU frequency control (cpufreq) below $CPU: unknown board"
    return 1
}

boost_off() {
    if [ -f "$CPU/intel_pstate/no_turbo" ]; then
        set_file "$CPU/intel_pstate/no_turbo" 1 || return 1
    fi
    for switch in "$CPU/cpufreq/boost" "$CPU"/cpufreq/policy*/boost; do
        [ ! -f "$switch" ] || set_file "$switch" 0 || return 1
    done
}

# Frequency that a policy shall have, into KHZ.
choose_khz() {
    KHZ=$WANTED_KHZ
    for wanted in $WANTED_PER_POLICY; do
        [ "${wanted%%=*}" != "${1##*/}" ] || KHZ=${wanted#*=}
    done
    read_value "$1/cpuinfo_max_freq" && hardware=$VALUE || return 1
    read_value "$1/cpuinfo_min_freq" && lowest=$VALUE || return 1
    case $KHZ in
    max) KHZ=$hardware ;;
    limit)
        read_value "$1/scaling_max_freq" && KHZ=$VALUE || return 1
        # Without boost nothing above the base frequency can be held.
        if read_value "$1/base_frequency" && [ "$VALUE" -lt "$KHZ" ]; then KHZ=$VALUE; fi
        [ "$KHZ" -ge "$hardware" ] ||
            note "${1##*/}: the limit in force is $KHZ kHz, the hardware has $hardware (--khz max)"
        ;;
    esac
    if [ "$KHZ" -lt "$lowest" ] || [ "$KHZ" -gt "$hardware" ]; then
        because "${1##*/}: $KHZ kHz is not within $lowest to $hardware"
        return 1
    fi
    if read_value "$1/scaling_available_frequencies"; then
        case " $VALUE " in
        *" $KHZ "*) ;;
        *)
            because "${1##*/}: $KHZ kHz is none of its frequencies ($VALUE)"
            return 1
            ;;
        esac
    fi
}

pin_policy() {
    choose_khz "$1" 2>/dev/null || return 1
    if read_value "$1/scaling_available_governors"; then
        case " $VALUE " in
        *' performance '*) set_file "$1/scaling_governor" performance || return 1 ;;
        *) note "${1##*/}: has no governor 'performance'; pinned by its limits alone" ;;
        esac
    fi
    # The kernel refuses a minimum above the maximum: widen first, then narrow.
    read_value "$1/scaling_max_freq" || return 1
    if [ "$KHZ" -gt "$VALUE" ]; then
        set_file "$1/scaling_max_freq" "$KHZ" && set_file "$1/scaling_min_freq" "$KHZ"
    else
        set_file "$1/scaling_min_freq" "$KHZ" && set_file "$1/scaling_max_freq" "$KHZ"
    fi
}

# Before anything is changed: every cluster that was named is there, every frequency can be had.
check_wishes() {
    for wanted in $WANTED_PER_POLICY; do
        [ -d "$CPU/cpufreq/${wanted%%=*}" ] || {
            because "no cluster ${wanted%%=*} here"
            return 1
        }
    done
    for policy in "$CPU"/cpufreq/policy*; do
        choose_khz "$policy" || return 1
    done
}

apply() {
    check_wishes || return 1
    boost_off || return 1
    for policy in "$CPU"/cpufreq/policy*; do
        pin_policy "$policy" || return 1
    done
}

main "$@"
