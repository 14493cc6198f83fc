"""edgeprof's private folder on a board: whether it can be trusted, and what in it is ours.

Owns: the check that nobody but this account (and root) can change what edgeprof uses or runs there,
the manifest of what edgeprof put there, and the removal of just that. The scripts here are POSIX
shell and run on the board.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.base.errors import BoardSetupError
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport import Transport, script

_DEADLINE_S = 60.0
MANIFEST_FILE = ".edgeprof-manifest"

# `mistrust FOLDER` prints why another user could change what lies in a folder; nothing where nobody
# can. Looked at are the folder, or the one that it would be made in, every folder above it, and
# what of ours lies in it. A folder above may have the sticky bit instead (/tmp): nobody can move
# other users' folders there.
TRUST = f"""
own_group=0
[ "$(id -gn 2>/dev/null)" != "$(id -un 2>/dev/null)" ] || own_group=$(id -g)
is_loose() {{ # MODE GROUP
  case $1 in
  ????????w*) return 0 ;;
  ?????w*) [ "$2" != 0 ] && [ "$2" != "$own_group" ] ;;
  *) return 1 ;;
  esac
}}
mistrust() {{
  me=$(id -u) at=$1
  while [ ! -e "$at" ] && [ ! -L "$at" ]; do at=$(dirname -- "$at"); done
  if [ "$at" = "$1" ]; then itself=yes; else itself=; fi
  at=$(cd -P -- "$at" 2>/dev/null && pwd -P) || return 0
  while :; do
    # Mode, links, owner, group.
    read -r mode _ owner group _ <<END
$(LC_ALL=C ls -ldn -- "$at")
END
    if [ "$owner" != 0 ] && [ "$owner" != "$me" ]; then
      echo "$at belongs to another user (number $owner)"
      return 0
    fi
    # Of a folder of ours the sticky bit is not enough: others could put there what we look for.
    case $itself,$mode in
    ,?????????[tT]*) is_safe=yes ;;
    *) is_safe= ;;
    esac
    if [ ! "$is_safe" ] && is_loose "$mode" "$group"; then
      echo "other users can write in $at (mode $mode)"
      return 0
    fi
    itself=
    [ "$at" != / ] || break
    at=$(dirname -- "$at")
  done
  for name in {MANIFEST_FILE} objects queue incoming trash worker.log; do
    [ -e "$1/$name" ] || continue
    # A file that vanishes meanwhile, or a find without these options, is a failure of find.
    if ! loose=$(find_loose "$1/$name") && ! loose=$(find_loose "$1/$name") && [ ! "$loose" ]; then
      echo "$1/$name cannot be searched for what others can change (find fails)"
      return 0
    elif [ "$loose" ]; then
      echo "$loose" | sed 's/$/ can be changed by other users/;q'
      return 0
    fi
  done
}}
find_loose() {{
  find "$1" ! -type l \\( ! -user "$me" ! -user 0 -o -perm -002 -o -perm -020 \\
    ! -group 0 ! -group "$own_group" \\) 2>/dev/null
}}
"""

# `list_as_ours ENTRY...`, in the folder: notes what is about to be put there.
MANIFEST = f"""
list_as_ours() {{
  for entry; do
    grep -qxF -e "$entry" {MANIFEST_FILE} 2>/dev/null || printf '%s\\n' "$entry" >> {MANIFEST_FILE}
  done
}}
"""

# Parameters: the folder, then what is about to be put there.
_CLAIM = f"""
set -eu
umask 077
{TRUST}{MANIFEST}
folder=$1
shift
mkdir -p -- "$folder"
reason=$(mistrust "$folder")
if [ "$reason" ]; then
  echo "$reason" >&2
  exit 65
fi
cd -- "$folder"
list_as_ours "$@"
# The worker makes these; what is there already is somebody else's, or listed.
for name in worker.lock worker.log; do
  [ -e "$name" ] || list_as_ours "$name"
done
"""

# In the folder: removes what the manifest lists, and then what is empty.
REMOVE_OURS = f"""
if [ -f {MANIFEST_FILE} ]; then
  while IFS= read -r entry; do
    case $entry in
    */../* | */.. | *//*) ;;
    objects/?*/?*)
      rm -f -- "$entry"
      rmdir -- "${{entry%/*}}" 2>/dev/null || :
      ;;
    queue/?*) rm -rf -- "$entry" "trash/${{entry#queue/}}" "incoming/${{entry#queue/}}".* ;;
    worker.lock | worker.log) rm -f -- "$entry" ;;
    esac
  done < {MANIFEST_FILE}
  rm -f {MANIFEST_FILE}
fi
for name in objects queue incoming trash; do
  rmdir -- "$name" 2>/dev/null || :
done
"""


async def claim_folder(
    transport: Transport, board: BoardSpec, folder: str, entries: Sequence[str]
) -> None:
    """Make the folder where it is missing, check it, and list what will be put there.

    Raises:
        BoardSetupError: another user of the board could change what lies there.
    """
    argv = script(_CLAIM, folder, *entries)
    completed = await transport.run(argv, deadline_s=_DEADLINE_S)
    if completed.status != 0:
        raise mistrusted(board, folder, completed.complaint)


def mistrusted(board: BoardSpec, folder: str, reason: str) -> BoardSetupError:
    """Return the error for a folder that edgeprof must not use."""
    return board.error(
        f"{folder} is not safe to run programs from: {reason}; make it yours "
        "alone (chown, chmod go-w), or set 'folder' of this board to another place in boards.yaml"
    )
