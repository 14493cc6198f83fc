#!/bin/sh
# Prepares a board for measuring, and takes it all back: one entry to the other scripts.
NAME=setup_board
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# In the order of application; restored the other way round. jetson_clocks moves the CPU's clocks
# too, so pin_clocks comes after it.
STEPS='jetson_clocks pin_clocks quiet_board pmu_access'
SKIP=
KHZ=
MODE=

usage() {
    cat <<END
Usage: setup_board.sh apply|restore|status [options]

Prepares the board: $STEPS, as far as each is for this board.

  --skip STEP          leave this step out; may be repeated
  --khz VALUE          handed to pin_clocks.sh
  --mode ID            handed to jetson_clocks.sh
END
    common_usage
}

option() {
    [ $# -ge 2 ] || return 1
    case $1 in
    --skip)
        case " $STEPS " in
        *" $2 "*) SKIP="$SKIP $2 " ;;
        *) wrong_usage "--skip $2: want one of: $STEPS" ;;
        esac
        ;;
    --khz) KHZ=$2 ;;
    --mode) MODE=$2 ;;
    *) return 1 ;;
    esac
    TAKEN=2
}

is_skipped() {
    case $SKIP in *" $1 "*) return 0 ;; esac
    return 1
}

run_step() { # STEP ARGUMENT...
    step=$1
    shift
    EDGEPROF_ROOT=$ROOT EDGEPROF_STATE_DIR=$STATE_DIR sh "$HERE/$step.sh" "$@"
}

step_status() { run_step "$1" status --json; }

is_for_this_board() {
    case $(step_status "$1") in *'"available": true'*) return 0 ;; esac
    return 1
}

available() {
    for step_name in $STEPS; do
        if ! is_skipped "$step_name" && is_for_this_board "$step_name"; then return 0; fi
    done
    echo "none of the steps is for this board: unknown board"
    return 1
}

# A step that fails says why in one line, which becomes the reason of the whole.
apply_step() { # STEP ARGUMENT...
    if [ "$DRY_RUN" = yes ]; then
        because "$1 cannot be applied"
        run_step "$@"
        return
    fi
    complaints=$STATE_DIR/$1.complaints
    if [ "$JSON" = yes ]; then
        run_step "$@" >/dev/null 2>"$complaints"
    else
        run_step "$@" 2>"$complaints"
    fi && status=0 || status=1
    if [ "$status" = 0 ]; then
        cat "$complaints" >&2
    else
        because "$(tail -n 1 "$complaints" | sed "s/^$1.sh: /$1: /; s/; nothing changed\$//")"
    fi
    rm -f "$complaints"
    return "$status"
}

apply() {
    dry=
    [ "$DRY_RUN" = no ] || dry=--dry-run
    [ "$DRY_RUN" = yes ] || restore_earlier_boot || return 1
    for step_name in $STEPS; do
        if is_skipped "$step_name"; then continue; fi
        if ! is_for_this_board "$step_name"; then
            say "$step_name: not for this board"
            continue
        fi
        set -- apply $dry
        case $step_name in
        pin_clocks) [ -z "$KHZ" ] || set -- "$@" --khz "$KHZ" ;;
        jetson_clocks) [ -z "$MODE" ] || set -- "$@" --mode "$MODE" ;;
        esac
        apply_step "$step_name" "$@" || return 1
        CHANGED=yes # the steps say what they change
    done
}

# What is still set from before a reboot goes first, also of a step that is left out now.
restore_earlier_boot() {
    for step_name in $STEPS; do
        earlier=$STATE_DIR/$step_name.journal
        if [ ! -f "$earlier" ] || (JOURNAL=$earlier && journal_is_of_this_boot); then continue; fi
        run_step "$step_name" restore >/dev/null || {
            because "$step_name: what was set before the reboot could not be restored"
            return 1
        }
    done
}

restore_steps() {
    status=0
    rm -f "$STATE_DIR"/*.complaints
    backwards=
    for step_name in $STEPS; do backwards="$step_name $backwards"; done
    for step_name in $backwards; do
        # A step that is at work outlives a killed set-up: its restoration waits for it.
        if [ ! -f "$STATE_DIR/$step_name.journal" ] && [ ! -d "$STATE_DIR/$step_name.lock" ]; then
            continue
        fi
        if [ "$JSON" = yes ]; then
            run_step "$step_name" restore >/dev/null
        else
            run_step "$step_name" restore
        fi || status=1
    done
    return "$status"
}

show_status() {
    if [ "$JSON" = yes ]; then
        status_json | sed 's/}$//'
        printf ', "steps": ['
        separator=
        for step_name in $STEPS; do
            printf '%s%s' "$separator" "$(step_status "$step_name")"
            separator=', '
        done
        printf ']}\n'
    else
        for step_name in $STEPS; do
            run_step "$step_name" status | sed "s/^/$step_name: /"
        done
    fi
}

main "$@"
