# shellcheck shell=sh
# Common part of the board scripts: saved state, restoration, watchdog, options. Sourced, not run.
#
# A script sets NAME, defines usage, available, apply and option, then calls `main "$@"`.
#
# Every change goes through set_file or another set_*; it is written to the script's journal before
# it is made, so that `restore` undoes it exactly, also after kill -9 in the middle. A journal line
# is "kind<TAB>name<TAB>value before"; the first line is the boot it belongs to. After a reboot only
# the kinds that outlive one are undone: the kernel has forgotten the others. Only a run that holds
# the script's lock writes the journal; status and --dry-run read.
#
# Environment:
#   EDGEPROF_ROOT       work on the tree below this folder (tests); tools are looked up in it too
#   EDGEPROF_STATE_DIR  journals and locks; default /var/lib/edgeprof below the root
#   EDGEPROF_POLL       seconds between two looks of a watchdog at its owner (default 10)
#   EDGEPROF_LOCK_WAIT  seconds to wait for another run of the same script (default 10)

set -u
umask 022

ROOT=${EDGEPROF_ROOT:-}
ROOT=${ROOT%/}
HERE=$(cd "$(dirname "$0")" && pwd)
TAB=$(printf '\t')
KINDS_THAT_OUTLIVE_A_BOOT='installed|made|nvpmodel|boot_unit'

use_state_dir() {
    STATE_DIR=$1
    JOURNAL=$STATE_DIR/${NAME:?}.journal
    WATCHDOG=$STATE_DIR/$NAME.watchdog
    LOCK=$STATE_DIR/$NAME.lock
    KEPT=$STATE_DIR/$NAME.scripts
}
use_state_dir "${EDGEPROF_STATE_DIR:-$ROOT/var/lib/edgeprof}"

DRY_RUN=no
JSON=no
RESTORE_AFTER=
OWNER=
LOCKED=no
CHANGED=no
REASON='could not be applied'

say() { [ "$JSON" = yes ] || printf '%s\n' "$*"; }
note() { printf '%s: %s\n' "$NAME.sh" "$*" >&2; }
fail() {
    note "$*"
    exit 1
}
# Why something cannot be applied; run_apply prints it in its one line.
because() { REASON=$*; }
wrong_usage() {
    note "$* (--help explains)"
    exit 2
}

# --- reading and writing -------------------------------------------------------------------------

# First line of a file into VALUE.
read_value() {
    VALUE=
    [ -r "$1" ] || return 1
    { IFS= read -r VALUE <"$1" || [ -n "$VALUE" ]; } 2>/dev/null
}

write_value() { (printf '%s\n' "$2" >"$1") 2>/dev/null; }

# A tool of the board: below the root when there is one, so that a test tree never reaches ours.
# Its path into TOOL.
# shellcheck disable=SC2034 # TOOL is read by the scripts
find_tool() {
    TOOL=
    if [ -z "$ROOT" ]; then
        TOOL=$(PATH=$PATH:/usr/sbin:/sbin command -v "$1") || return 1
        return 0
    fi
    for tool_folder in /usr/bin /usr/sbin /bin /sbin; do
        [ -x "$ROOT$tool_folder/$1" ] || continue
        TOOL=$ROOT$tool_folder/$1
        return 0
    done
    return 1
}

is_integer() {
    case $1 in
    '' | *[!0-9]*) return 1 ;;
    esac
}

# set_file PATH VALUE: save, write, read back. Fails when the kernel does not take the value.
set_file() {
    read_value "$1" || {
        because "$1: cannot be read"
        return 1
    }
    [ "$VALUE" != "$2" ] || return 0
    if [ "$DRY_RUN" = yes ]; then
        say "would set $1: $VALUE -> $2"
        return 0
    fi
    before=$VALUE
    record file "$1" "$before"
    if ! write_value "$1" "$2" || ! read_value "$1" || [ "$VALUE" != "$2" ]; then
        because "$1: wanted '$2', the kernel keeps '${VALUE:-$before}'"
        return 1
    fi
    say "set $1: $before -> $2"
}

# --- the journal ---------------------------------------------------------------------------------

boot_id() {
    read_value "$ROOT/proc/sys/kernel/random/boot_id" || VALUE=unknown
    printf '%s' "$VALUE"
}

open_journal() {
    mkdir -p "$STATE_DIR" 2>/dev/null || fail "$STATE_DIR: cannot be made; nothing changed"
    [ -f "$JOURNAL" ] || printf 'boot\t%s\n' "$(boot_id)" >"$JOURNAL" ||
        fail "$JOURNAL: cannot be written; nothing changed"
}

# record KIND NAME BEFORE: the first value of a name is the one to go back to.
record() {
    CHANGED=yes
    open_journal
    grep -qF "$1$TAB$2$TAB" "$JOURNAL" && return 0
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$JOURNAL" ||
        fail "$JOURNAL: cannot be written, so $2 is left alone"
    # What outlives a reboot must be known after a power failure too.
    case "|$KINDS_THAT_OUTLIVE_A_BOOT|" in *"|$1|"*) sync ;; esac
}

journal_is_of_this_boot() {
    IFS=$TAB read -r _ journal_boot <"$JOURNAL" || journal_boot=
    [ "$journal_boot" = "$(boot_id)" ]
}

# Changes that the journal holds and no reboot has undone, the oldest first.
changes() {
    [ -f "$JOURNAL" ] || return 0
    kinds=".*"
    journal_is_of_this_boot || kinds=$KINDS_THAT_OUTLIVE_A_BOOT
    sed 1d "$JOURNAL" | grep -E "^($kinds)$TAB.*$TAB"
    return 0
}

changes_backwards() { changes | sed '1!G;h;$!d'; }

# A journal of this boot counts also where nothing had to be changed.
is_prepared() { [ -f "$JOURNAL" ] && { journal_is_of_this_boot || [ -n "$(changes)" ]; }; }

undo_file() {
    [ -e "$1" ] || return 0
    read_value "$1" && [ "$VALUE" = "$2" ] && return 0
    write_value "$1" "$2" || return 1
    say "restored $1: $2"
}

restore_journal() {
    if ! is_prepared; then
        [ "$DRY_RUN" = yes ] || forget_journal
        say "nothing to restore"
        return 0
    fi
    if [ "$DRY_RUN" = yes ]; then
        changes_backwards | while IFS=$TAB read -r kind name before; do
            say "would restore $kind $name: $before"
        done
        return 0
    fi
    changes_backwards >"$JOURNAL.todo"
    # Twice, for values that are only valid once another is back (a minimum above the maximum).
    for pass in 1 2; do
        : >"$JOURNAL.left"
        while IFS=$TAB read -r kind name before; do
            "undo_$kind" "$name" "$before" ||
                printf '%s\t%s\t%s\n' "$kind" "$name" "$before" >>"$JOURNAL.left"
        done <"$JOURNAL.todo"
        [ -s "$JOURNAL.left" ] || break
        [ "$pass" = 2 ] || mv "$JOURNAL.left" "$JOURNAL.todo"
    done
    if [ -s "$JOURNAL.left" ]; then
        IFS=$TAB read -r kind name before <"$JOURNAL.left"
        rm -f "$JOURNAL.todo" "$JOURNAL.left"
        note "$name: could not be restored to '$before'; the journal is kept in $JOURNAL"
        return 1
    fi
    forget_journal
}

# The last file to go is the one by which a killed run would be taken up again.
forget_journal() {
    rm -f "$JOURNAL.todo" "$JOURNAL.left" "$STATE_DIR/$NAME.stored"
    rm -f "$JOURNAL"
}

# --- one at a time -------------------------------------------------------------------------------

# Whoever wants the lock makes an entry of its own and then looks for others: of two that do so at
# once at least one sees the other, takes its entry back and tries again. An entry is named by
# process number and start time, so that of a dead process can be removed by anybody at any time.

# Number of a running process that has an entry, into HOLDER.
find_holder() {
    for entry in "$LOCK"/*.*; do
        entry=${entry##*/}
        HOLDER=${entry%%.*}
        if [ "$entry" = "$ENTRY" ] || ! is_integer "$HOLDER"; then continue; fi
        if is_running "$HOLDER" "${entry#*.}"; then return 0; fi
        rm -f "$LOCK/$entry"
    done
    # Earlier versions have one file for all.
    [ -f "$LOCK/pid" ] || return 1
    { IFS=$TAB read -r HOLDER stamp <"$LOCK/pid"; } 2>/dev/null
    if is_running "$HOLDER" "$stamp"; then return 0; fi
    rm -f "$LOCK/pid"
    return 1
}

lock() {
    ENTRY=$$.$(start_time $$)
    give_up=$(($(uptime_s) + ${EDGEPROF_LOCK_WAIT:-10}))
    refused=0
    while :; do
        # Another run may remove the empty folders at any time.
        if mkdir -p "$LOCK" 2>/dev/null && find_holder; then
            [ "$(uptime_s)" -lt "$give_up" ] ||
                fail "process $HOLDER is running $NAME.sh (lock $LOCK); nothing changed"
        elif (: >"$LOCK/$ENTRY") 2>/dev/null; then
            find_holder || break
            rm -f "$LOCK/$ENTRY"
        else
            refused=$((refused + 1))
            [ "$refused" -lt 20 ] ||
                fail "$STATE_DIR: cannot be written (run as root); nothing changed"
            continue
        fi
        # Not all after the same time.
        sleep "0.$((($$ + $(uptime_s)) % 8 + 1))" 2>/dev/null || sleep 1
    done
    LOCKED=yes
}

unlock() {
    [ "$LOCKED" = yes ] || return 0
    [ -f "$JOURNAL" ] || rm -rf "$KEPT"
    rm -f "$LOCK/$ENTRY"
    rmdir "$LOCK" "$STATE_DIR" 2>/dev/null
    LOCKED=no
    after_unlock
}

# install_board.sh keeps its state within the folder that it may have to remove.
after_unlock() { :; }

# --- watchdog ------------------------------------------------------------------------------------

# Field 22 of /proc/PID/stat tells a process from a later one with the same number.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

is_running() { # PID START_TIME
    case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in
    '' | [ZX]*) return 1 ;; # gone, or dead and not yet collected by its parent
    esac
    [ "$(start_time "$1")" = "$2" ]
}

# The SSH server's process for this connection: it ends when the connection does. Into VALUE.
find_ssh_owner() {
    owner=$$
    while [ "$owner" -gt 1 ]; do
        owner=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$owner/status" 2>/dev/null)
        is_integer "$owner" || break
        case $(cat "/proc/$owner/comm" 2>/dev/null) in
        sshd* | dropbear*)
            VALUE=$owner
            return 0
            ;;
        esac
    done
    return 1
}

uptime_s() { sed 's/[. ].*//' /proc/uptime; }

# A copy of the scripts that only this user can write, for what is run later: where they lie now may
# be another user's, or gone by then.
keep_scripts() {
    rm -rf "$KEPT" "$KEPT.new"
    if mkdir -m 700 "$KEPT.new" && cp "$HERE"/*.sh "$KEPT.new/" && mv "$KEPT.new" "$KEPT"; then
        return 0
    fi
    because "$KEPT: cannot be written"
    return 1
} 2>/dev/null

# Sleeps until the time is up or the owner is gone, then restores. Wakes seldom: it runs beside
# measurements.
watch_then_restore() { # SECONDS OWNER OWNER_START
    deadline=$(($(uptime_s) + ${1:-0}))
    while :; do
        nap=${EDGEPROF_POLL:-10}
        if [ -n "$1" ]; then
            left=$((deadline - $(uptime_s)))
            [ "$left" -gt 0 ] || break
            if [ -z "$2" ] || [ "$left" -lt "$nap" ]; then nap=$left; fi
        fi
        if [ -n "$2" ]; then is_running "$2" "$3" || break; fi
        sleep "$nap" &
        wait "$!"
    done
    trap - TERM
    EDGEPROF_WATCHDOG=yes exec sh "$HERE/$NAME.sh" restore
}

stop_watchdog() {
    [ -f "$WATCHDOG" ] || return 0
    IFS=$TAB read -r pid stamp _ <"$WATCHDOG" || pid=
    rm -f "$WATCHDOG"
    # The watchdog itself restores in its own process: it must not kill itself.
    [ "${EDGEPROF_WATCHDOG:-no}" = no ] || return 0
    [ -n "$pid" ] && is_running "$pid" "$stamp" && kill "$pid" 2>/dev/null
    return 0
}

watchdog_runs() { # its process id goes to pid
    [ -f "$WATCHDOG" ] || return 1
    IFS=$TAB read -r pid stamp _ <"$WATCHDOG" || return 1
    is_running "$pid" "$stamp"
}

start_watchdog() {
    if [ -z "$RESTORE_AFTER$OWNER" ]; then
        # Whoever started one relies on it: it goes on, and restores this as well.
        ! watchdog_runs || note "the watchdog of an earlier run (process $pid) will restore this too"
        return 0
    fi
    stop_watchdog
    keep_scripts || return 1
    owner_start=
    [ -z "$OWNER" ] || owner_start=$(start_time "$OWNER")
    detach=
    # A session of its own: the hang-up of the caller's terminal does not reach it.
    command -v setsid >/dev/null 2>&1 && detach=setsid
    EDGEPROF_ROOT=$ROOT EDGEPROF_STATE_DIR=$STATE_DIR \
        $detach sh "$KEPT/$NAME.sh" watch "$RESTORE_AFTER" "$OWNER" "$owner_start" \
        </dev/null >/dev/null 2>&1 &
    # setsid may fork: the watchdog itself writes its number.
    tries=0
    while [ ! -s "$WATCHDOG" ] && [ "$tries" -lt 50 ]; do
        tries=$((tries + 1))
        sleep 0.1 2>/dev/null || sleep 1
    done
    [ -s "$WATCHDOG" ] || {
        because "the watchdog does not start"
        return 1
    }
    say "will restore by itself${RESTORE_AFTER:+ after $RESTORE_AFTER s}${OWNER:+ when process $OWNER ends}"
}

become_watchdog() { # SECONDS OWNER OWNER_START
    trap '' HUP
    trap 'kill "$!" 2>/dev/null; exit 0' TERM
    printf '%s\t%s\t%s\t%s\n' "$$" "$(start_time $$)" "$1" "$2" >"$WATCHDOG.new"
    mv "$WATCHDOG.new" "$WATCHDOG"
    watch_then_restore "$1" "$2" "$3"
}

# --- status --------------------------------------------------------------------------------------

json_text() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"; }

now_of() { # KIND NAME: the value now, into VALUE
    VALUE=
    case $1 in
    file) read_value "$2" || VALUE= ;;
    esac
}

# {"script":..., "available":..., "prepared":..., "changes":[...], "watchdog":...}
status_json() {
    printf '{"script": "%s", ' "$NAME"
    if reason=$(available 2>&1); then
        printf '"available": true, '
    else
        printf '"available": false, "reason": %s, ' "$(json_text "$reason")"
    fi
    if is_prepared; then printf '"prepared": true, '; else printf '"prepared": false, '; fi
    if watchdog_runs; then printf '"watchdog": %s, ' "$pid"; fi
    printf '"changes": ['
    separator=
    changes | while IFS=$TAB read -r kind name before; do
        now_of "$kind" "$name"
        printf '%s{"kind": "%s", "name": %s, "before": %s' "$separator" "$kind" \
            "$(json_text "$name")" "$(json_text "$before")"
        [ -z "$VALUE" ] || printf ', "now": %s' "$(json_text "$VALUE")"
        printf '}'
        separator=', '
    done
    printf ']}'
}

status_text() {
    if ! reason=$(available 2>&1); then
        say "not for this board: $reason"
    elif is_prepared && [ -z "$(changes)" ]; then
        say "prepared; nothing had to be changed"
    elif is_prepared; then
        say "prepared; before it was:"
        changes_backwards | while IFS=$TAB read -r kind name before; do
            now_of "$kind" "$name"
            say "  $kind $name: $before${VALUE:+ (now $VALUE)}"
        done
    else
        say "not prepared"
    fi
}

show_status() {
    if [ "$JSON" = yes ]; then
        status_json
        printf '\n'
    else
        status_text
    fi
}

# --- the command line ----------------------------------------------------------------------------

common_usage() {
    cat <<END
  --dry-run            print what would be changed, change nothing
  --json               print status (of what is set after it, for apply and restore) as JSON
  --restore-after S    restore by itself after S seconds
  --owner PID|ssh      restore by itself when that process, or this SSH connection, ends
  -h, --help           this text

Changes are saved in $STATE_DIR before they are made. EDGEPROF_ROOT sets another root folder.
Exit status: 0 done, 1 failed or not for this board (nothing changed), 2 wrong usage.
END
}

parse_options() {
    ACTION=
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --dry-run) DRY_RUN=yes ;;
        --json) JSON=yes ;;
        --restore-after | --owner)
            [ $# -ge 2 ] || wrong_usage "$1 wants a value"
            if [ "$1" = --owner ]; then OWNER=$2; else RESTORE_AFTER=$2; fi
            shift
            ;;
        apply | restore | status)
            [ -z "$ACTION" ] || wrong_usage "one of apply, restore, status at a time"
            ACTION=$1
            ;;
        *)
            TAKEN=0
            option "$@" || wrong_usage "unknown argument '$1'"
            shift $((TAKEN - 1))
            ;;
        esac
        shift
    done
    [ -n "$ACTION" ] || wrong_usage "needs one of apply, restore, status"
    [ -z "$RESTORE_AFTER" ] || is_integer "$RESTORE_AFTER" ||
        wrong_usage "--restore-after wants seconds, not '$RESTORE_AFTER'"
    find_owner
}

# The process that --owner names, into OWNER.
find_owner() {
    case $OWNER in
    '') ;;
    ssh)
        find_ssh_owner || fail "--owner ssh: this does not run in an SSH connection; nothing changed"
        OWNER=$VALUE
        ;;
    *)
        is_integer "$OWNER" || wrong_usage "--owner wants a process number or ssh, not '$OWNER'"
        [ -d "/proc/$OWNER" ] || fail "--owner $OWNER: no such process; nothing changed"
        ;;
    esac
}

need_root() {
    [ "${NEEDS_ROOT:-yes}" = yes ] || return 0
    [ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || fail "needs root (sudo); nothing changed"
    [ -z "$ROOT" ] || [ -d "$ROOT" ] || fail "EDGEPROF_ROOT $ROOT: no such folder; nothing changed"
}

run_apply() {
    reason=$(available 2>&1) || fail "$reason; nothing changed"
    if [ "$DRY_RUN" = yes ]; then
        apply || fail "$REASON; nothing changed"
        return
    fi
    need_root
    lock
    trap 'unlock' EXIT
    # What an earlier boot left behind is no state to go back to.
    if [ -f "$JOURNAL" ] && ! journal_is_of_this_boot; then
        restore_journal || exit 1
    fi
    open_journal
    trap 'note "interrupted: restoring"; restore_steps; restore_journal; exit 1' INT TERM HUP
    if ! apply || ! start_watchdog; then
        restore_steps && restore_journal || exit 1
        [ "$CHANGED" = yes ] || fail "$REASON; nothing changed"
        fail "$REASON; what had been changed is restored"
    fi
    trap - INT TERM HUP
    [ "$CHANGED" = yes ] || say "$NAME: already as wanted"
}

run_restore() {
    if [ "$DRY_RUN" = yes ]; then
        restore_journal
        return
    fi
    [ -d "$STATE_DIR" ] || {
        say "nothing to restore"
        return 0
    }
    need_root
    lock
    trap 'unlock' EXIT
    stop_watchdog
    restore_steps && restore_journal
}

# setup_board.sh has steps of its own; the others have none.
restore_steps() { :; }

main() {
    if [ "${1:-}" = watch ]; then # internal: see start_watchdog
        become_watchdog "$2" "$3" "$4"
    fi
    parse_options "$@"
    case $ACTION in
    apply) run_apply ;;
    restore) run_restore || exit 1 ;;
    status) ;;
    esac
    if [ "$ACTION" = status ] || [ "$JSON" = yes ]; then show_status; fi
}
