#!/bin/sh
# Installs the board program and runtime libraries, after checking that they can run here.
NAME=install_board
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

NEEDS_ROOT=no
FOLDER=
FOLDER_WAS_THERE=no
MADE_FOLDER=
PROGRAM=
FILES=
NEWLINE='
'

usage() {
    cat <<END
Usage: install_board.sh apply --program FILE [--library FILE]... [--folder DIR]
       install_board.sh restore|status [--folder DIR]

Installs the board program and the runtime libraries it opens. Checks first: the processor they are
for, the glibc they need, and that the program starts. 'restore' removes them and brings back what
they replaced.

  --program FILE       the program, edgeprof-harness
  --library FILE       a runtime library; may be repeated
  --folder DIR         where to (default /usr/local/lib/edgeprof for root, else ~/.edgeprof)
END
    common_usage
}

option() {
    [ $# -ge 2 ] || return 1
    case $1 in
    --program | --library)
        [ -f "$2" ] || fail "$2: no such file; nothing changed"
        if [ "$1" = --program ]; then
            [ -z "$PROGRAM" ] || wrong_usage "one --program at a time"
            PROGRAM=$2
        fi
        FILES="$FILES$2$NEWLINE"
        ;;
    --folder) ;; # taken by run_main
    *) return 1 ;;
    esac
    TAKEN=2
}

# Bytes of a file as hexadecimal digits: hex_at FILE OFFSET COUNT.
hex_at() { od -An -v -tx1 -j "$2" -N "$3" "$1" 2>/dev/null | tr -d ' \n'; }

elf_processor() {
    [ "$(hex_at "$1" 0 4)" = 7f454c46 ] || {
        echo "no ELF file"
        return 0
    }
    case $(hex_at "$1" 18 2) in # e_machine, little-endian
    3e00) echo x86_64 ;;
    b700) echo aarch64 ;;
    2800) echo arm ;;
    *) echo "another processor" ;;
    esac
}

board_processor() {
    if [ -n "$ROOT" ] && read_value "$ROOT/proc/sys/kernel/arch"; then
        processor=$VALUE
    else
        processor=$(uname -m)
    fi
    # A 64-bit kernel with a 32-bit userland runs 32-bit programs.
    if [ -z "$ROOT" ] && [ "$processor" = aarch64 ] && [ "$(getconf LONG_BIT 2>/dev/null)" = 32 ]; then
        processor=arm
    fi
    case $processor in
    arm*) echo arm ;;
    *) echo "$processor" ;;
    esac
}

# Highest GLIBC_2.N that a file asks for, as N; 0 where it asks for none.
glibc_needed() {
    tr -c '[:alnum:]_.' '\n' <"$1" | sed -n 's/^GLIBC_2\.\([0-9][0-9]*\).*/\1/p' | sort -n | tail -n 1
}

glibc_here() {
    find_tool getconf || return 0
    "$TOOL" GNU_LIBC_VERSION 2>/dev/null | sed -n 's/.* 2\.\([0-9][0-9]*\).*/\1/p'
}

check_file() {
    is_for=$(elf_processor "$1")
    [ "$is_for" = "$(board_processor)" ] || {
        because "$1: is for '$is_for', this board is '$(board_processor)'"
        return 1
    }
    needed=$(glibc_needed "$1")
    here=$(glibc_here)
    [ -z "$needed" ] || [ -z "$here" ] || [ "$needed" -le "$here" ] || {
        because "$1: needs glibc 2.$needed, this board has 2.$here (harness build --glibc 2.$here)"
        return 1
    }
}

choose_folder() {
    if [ -z "$FOLDER" ]; then
        if [ "$(id -u)" = 0 ]; then FOLDER=$ROOT/usr/local/lib/edgeprof; else FOLDER=$HOME/.edgeprof; fi
    fi
    case $FOLDER in
    /*) ;;
    *) FOLDER=$PWD/$FOLDER ;; # the journal may be read from elsewhere
    esac
    # Before the journal's own folder is made within it.
    [ ! -d "$FOLDER" ] || FOLDER_WAS_THERE=yes
    [ -n "${EDGEPROF_STATE_DIR:-}" ] || use_state_dir "$FOLDER/state"
}

available() { :; }

# The journal may lie in it still: see after_unlock.
undo_made() { MADE_FOLDER=$1; }

after_unlock() {
    # What we made is removed only while nothing else is in it. An apply that left no journal had
    # changed nothing.
    if [ -z "$MADE_FOLDER$(cat "$JOURNAL" 2>/dev/null)" ] && [ "$FOLDER_WAS_THERE" = no ]; then
        MADE_FOLDER=$FOLDER
    fi
    [ -z "$MADE_FOLDER" ] || rmdir "$MADE_FOLDER" 2>/dev/null || :
}

undo_installed() { # FILE BACKUP
    if [ "$2" = none ]; then
        rm -f "$1" && say "removed $1"
    elif [ -f "$2" ]; then
        mv "$2" "$1" && say "restored $1"
    fi
}

install_file() { # FILE
    target=$FOLDER/${1##*/}
    if cmp -s "$1" "$target"; then return 0; fi
    if [ "$DRY_RUN" = yes ]; then
        say "would install $target"
        return 0
    fi
    backup=none
    if [ -f "$target" ]; then
        backup=$target.before
        # A second installation keeps the first backup.
        [ -f "$backup" ] || cp -p "$target" "$backup" || return 1
    fi
    record installed "$target" "$backup"
    { cp "$1" "$target.new" && chmod 755 "$target.new" && mv "$target.new" "$target"; } || {
        rm -f "$target.new"
        because "$target: cannot be written (disk full, read-only?)"
        return 1
    }
    say "installed $target"
}

try_program() {
    program=$FOLDER/${PROGRAM##*/}
    version=$("$program" --version 2>&1) || {
        because "$program: does not run here: $(printf '%s' "$version" | head -n 1)"
        return 1
    }
    say "runs: $(printf '%s' "$version" | head -n 1)"
}

make_folder() {
    [ ! -d "$FOLDER" ] || return 0
    mkdir -p "$FOLDER" 2>/dev/null || {
        because "$FOLDER: cannot be made"
        return 1
    }
}

for_each_file() { # FUNCTION
    while IFS= read -r file; do
        [ -z "$file" ] || "$1" "$file" || return 1
    done <<END
$FILES
END
}

apply() {
    for_each_file check_file || return 1
    if [ "$DRY_RUN" = yes ]; then
        for_each_file install_file
        return
    fi
    [ "$FOLDER_WAS_THERE" = yes ] || record made "$FOLDER" -
    make_folder && for_each_file install_file && try_program
}

# Options first: the journals lie in the folder that they name.
run_main() {
    for argument; do
        [ "${previous:-}" != --folder ] || FOLDER=$argument
        previous=$argument
    done
    choose_folder
    case " $* " in
    *' apply '*)
        case " $* " in
        *' --program '* | *' -h '* | *' --help '*) ;;
        *) wrong_usage "apply wants --program FILE" ;;
        esac
        ;;
    esac
    main "$@"
}

run_main "$@"
