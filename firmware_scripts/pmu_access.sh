#!/bin/sh
# Opens the CPU's performance counters to ordinary users, as far as the kernel can.
NAME=pmu_access
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

KERNEL=$ROOT/proc/sys/kernel
PARANOID=2
MODULE=

usage() {
    cat <<END
Usage: pmu_access.sh apply|restore|status [options]

Lowers kernel.perf_event_paranoid, sets kernel.perf_user_access (arm64, Linux 5.17 and later), and
takes the counter back that the NMI watchdog holds. Says when the kernel cannot give user access.

  --paranoid N         highest perf_event_paranoid to leave (default 2: a user may count its own
                       processes; 1: and the kernel on their behalf; -1: everything)
  --module FILE        load this module for kernels before 5.17 (see pmu_access/README.md)
END
    common_usage
}

option() {
    [ $# -ge 2 ] || return 1
    case $1 in
    --paranoid)
        is_integer "${2#-}" || wrong_usage "--paranoid $2: want a number"
        PARANOID=$2
        ;;
    --module)
        [ -f "$2" ] || wrong_usage "--module $2: no such file"
        MODULE=$2
        ;;
    *) return 1 ;;
    esac
    TAKEN=2
}

available() {
    [ -f "$KERNEL/perf_event_paranoid" ] && return 0
    echo "no $KERNEL/perf_event_paranoid: this kernel has no performance events"
    return 1
}

undo_module() {
    find_tool rmmod || return 1
    grep -q "^$1 " "$ROOT/proc/modules" 2>/dev/null || return 0
    "$TOOL" "$1" && say "unloaded $1"
}

load_module() {
    name=$(basename "$MODULE" .ko)
    if grep -q "^$name " "$ROOT/proc/modules" 2>/dev/null; then return 0; fi
    if [ "$DRY_RUN" = yes ]; then
        say "would load $MODULE"
        return 0
    fi
    find_tool insmod || {
        because "insmod is not there"
        return 1
    }
    record module "$name" "not loaded"
    "$TOOL" "$MODULE" || {
        because "$MODULE: does not load (built for another kernel?)"
        return 1
    }
    say "loaded $MODULE"
}

apply() {
    read_value "$KERNEL/perf_event_paranoid" || return 1
    if [ "$VALUE" -gt "$PARANOID" ]; then
        set_file "$KERNEL/perf_event_paranoid" "$PARANOID" || return 1
    fi
    if [ -f "$KERNEL/nmi_watchdog" ]; then set_file "$KERNEL/nmi_watchdog" 0 || return 1; fi
    if [ -n "$MODULE" ]; then
        load_module
    elif [ -f "$KERNEL/perf_user_access" ]; then
        set_file "$KERNEL/perf_user_access" 1
    else
        read_value "$KERNEL/osrelease" || VALUE=unknown
        note "kernel $VALUE has no kernel.perf_user_access: counters are read through system calls" \
            "(on arm64 before 5.17 see pmu_access/README.md)"
    fi
}

main "$@"
