"""The host's half of the script protocol: POSIX sh functions, sent once a session. Constant text, no data.

PRELUDE opens a session and is all that a look needs; WRITING comes before the first batch that writes.

Works in dash, bash --posix and BusyBox ash; needs /proc to end processes. Names begin with fl_. `$fl_m` is the
session's random marker. Kinds may use fl_sha, fl_put and fl_say in steps that write.
"""

# All processes cost one fork to read: the shells' own `read` takes a system call a byte.
_PROCESSES = r"""
# fl_stat PID: sets fl_parent, fl_its_session and fl_started; fails when there is no such process, or it is a zombie. A
# process chooses its name, which may hold anything, newlines too; what comes after its last ")" is the kernel's.
fl_stat() {
  fl_x=
  { while IFS= read -r fl_y; do fl_x="$fl_x$fl_y "; done <"/proc/$1/stat"; } 2>/dev/null
  [ -n "$fl_x" ] || return 1
  set -- ${fl_x##*) }
  fl_parent=$2 fl_its_session=$4 fl_started=${20}
  [ "$1" != Z ]
}
# fl_kill SESSION KEPT [SINCE]: ends all processes of a session but those in KEPT (" 12 34 "), the watchdog's own, and
# what began before SINCE, until there are none: what is forked meanwhile is found only then. Bounded: what hangs in
# the kernel cannot be ended. One cat for all gives hints only: a line may be what a process calls itself, and a short
# one the beginning of such.
fl_kill() {
  fl_more=5
  while [ "$fl_more" -gt 0 ]; do
    fl_more=$((fl_more - 1)) fl_found= fl_ifs=$IFS
    IFS='
'
    set -- "$1" "$2" "${3:-0}" $(cat /proc/[0-9]*/stat 2>/dev/null)
    IFS=$fl_ifs
    for fl_line do
      fl_i=${fl_line%% *}
      case $fl_i in ""|*[!0-9]*) continue ;; esac
      case $2 in *" $fl_i "*) continue ;; esac
      if [ ${#fl_line} -gt 60 ]; then case $fl_line in *" $1 "*) ;; *) continue ;; esac; fi
      fl_stat "$fl_i" || continue
      [ "$fl_its_session" = "$1" ] && [ "$fl_parent" != "${fl_w:--}" ] && [ "$fl_started" -ge "$3" ] || continue
      kill -KILL "$fl_i" 2>/dev/null && fl_found=1
    done
    set -- "$1" "$2" "$3"
    [ -n "$fl_found" ] || return 0
  done
}
"""

# Ends what is left of a session, from another one. Argument: the session's id.
KILL = _PROCESSES + 'fl_kill "$1" " $$ "\n'

# Asks an attempt that writes at this moment, from another session, to begin no further task. Argument: its name.
HALT = 'cd /var/lib/fleet/journal && [ -f "./$1" ] && : >"./$1.halt"\n'

PRELUDE = (
    r"""
LC_ALL=C LANG=C DEBIAN_FRONTEND=noninteractive; export LC_ALL LANG DEBIAN_FRONTEND
unset CDPATH ENV BASH_ENV
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
umask 022
fl_d=/var/lib/fleet
fl_w= fl_locked= fl_no= fl_r=

fl_frame() { printf '\n%s %s\n' "$fl_m" "$*"; }
fl_next() { printf '\n%s E %s ok %s -1\n\n%s %s\n' "$fl_m" "$1" "$2" "$fl_m" "$3"; }
fl_say() { printf '%s\n' "$*"; }
"""
    + _PROCESSES
    + r"""
# fl_self: sets fl_me to the process id of this very subshell ($$ is the session's shell).
fl_self() { fl_me=; { read -r fl_me fl_x </proc/self/stat; } 2>/dev/null; }
# Is the session ours alone? Its leader is this shell, what became root to start it, or this connection's server.
fl_session() {
  fl_s=0
  fl_stat "$$" || return 0
  fl_its=$fl_its_session fl_up=$fl_parent
  if [ "$fl_its" != "$$" ] && [ "$fl_its" != "$fl_up" ]; then
    fl_stat "$fl_up" && [ "$fl_its" = "$fl_parent" ] || return 0
  fi
  fl_s=$fl_its
}
fl_session

# The watchdog ends what the session began since it was armed, and its shell, when its time is up; the controller arms
# it. What a command of an earlier batch left running on purpose stays. Whenever it is disarmed, its sleep ends too: $!
# is that sleep as soon as there is one, and before that what it was outside.
fl_arm() {
  fl_disarm
  (
    o=$!; trap '[ "$!" = "$o" ] || kill "$!" 2>/dev/null; exit 0' TERM
    sleep "$1" & wait "$!"
    fl_self
    kill -KILL "$$"  # first: what is ended under it has no outcome
    if [ "$fl_s" != 0 ] && fl_stat "$fl_me"; then fl_kill "$fl_s" " $fl_me " "$fl_started"; fi
  ) </dev/null >/dev/null 2>&1 &
  fl_w=$!
}
fl_disarm() {
  if [ -n "$fl_w" ]; then kill "$fl_w" 2>/dev/null; wait "$fl_w" 2>/dev/null; fl_w=; fi
}
trap fl_disarm EXIT
"""
)

# What only a batch that writes needs: sent before the first of them.
WRITING = r"""
# fl_limit SECONDS: ends what this subshell started, and what that started, once the time is up. fl_unlimit: in time.
fl_limit() {
  (
    o=$!; trap '[ "$!" = "$o" ] || kill "$!" 2>/dev/null; exit 0' TERM
    sleep "$1" >/dev/null 2>&1 & wait "$!"
    trap '' TERM
    fl_say "ended: it took longer than $1 s"
    fl_self
    fl_kept=" $fl_me $fl_w "
    fl_stat "$fl_me" || fl_started=0
    fl_since=$fl_started
    while fl_stat "$fl_me" && [ "$fl_parent" -gt 1 ]; do fl_me=$fl_parent; fl_kept="$fl_kept$fl_me "; done
    if [ "$fl_s" != 0 ]; then fl_kill "$fl_s" "$fl_kept" "$fl_since"; fi
  ) </dev/null &
  fl_l=$!
}
fl_unlimit() { kill "$fl_l" 2>/dev/null; wait "$fl_l" 2>/dev/null; }

# fl_sum: digest of standard input; fl_sha FILE: 64 digits, or nothing where it cannot be read.
if command -v sha256sum >/dev/null 2>&1; then fl_sum() { sha256sum; }
elif command -v shasum >/dev/null 2>&1; then fl_sum() { shasum -a 256; }
else fl_sum() { openssl dgst -sha256 -r; }; fi
fl_sha() { set -- "$(fl_sum <"$1")"; printf %s "${1%% *}"; }
fl_sync() { sync "$1" 2>/dev/null || sync; }

# Journal of this attempt: append-only; `commit` comes last. Pre-images will stand beside it.
fl_j() { [ -z "$fl_a" ] || printf '%s\n' "$*" >>"$fl_d/journal/$fl_a"; }

# fl_begin ENVIRONMENT TOKEN ATTEMPT: may this writer write here? Sets fl_no to the reason when it may
# not, and fl_as to what that makes of every task: conflict, or failed where the host cannot keep a record.
fl_begin() {
  fl_no= fl_as=conflict fl_a=$3
  if ! [ -e /proc/self/stat ]; then
    fl_no="this host has no /proc, without which nothing is changed on it" fl_as=failed; return
  fi
  if ! [ -d "$fl_d/due" ] || ! [ -d "$fl_d/journal" ]; then
    fl_x=$(umask 077; mkdir -p "$fl_d/due" "$fl_d/journal" 2>&1) ||
      { fl_no="cannot keep a record on this host: $fl_x" fl_as=failed; return; }
  fi
  fl_lock || return
  fl_e=; [ -r "$fl_d/environment" ] && read -r fl_e <"$fl_d/environment"
  if [ -n "$fl_e" ] && [ "$fl_e" != "$1" ]; then
    fl_no="this host belongs to environment $fl_e, not $1"; return
  fi
  fl_f=0; [ -r "$fl_d/fence" ] && read -r fl_f <"$fl_d/fence"
  if ! [ "$2" -gt "$fl_f" ] 2>/dev/null; then
    fl_no="a newer apply has been here (token $fl_f, this one has $2)"; return
  fi
  [ -n "$fl_e" ] || fl_keep environment "$1" || return
  fl_keep fence "$2" || return
  fl_tidy
  fl_j "begin $1 $2" 2>/dev/null || fl_no="cannot write to $fl_d/journal: no space left, or read-only" fl_as=failed
}
# fl_visit ENVIRONMENT: the same for who leaves no record here. Where no lock can be made (no space left, read-only)
# there is nobody to be kept out: no apply can begin there either.
fl_visit() {
  fl_no= fl_as=conflict fl_a=
  if ! [ -e /proc/self/stat ]; then
    fl_no="this host has no /proc, without which nothing is changed on it" fl_as=failed; return
  fi
  if [ -d "$fl_d" ] && ! [ -x "$fl_d" ]; then
    fl_no="$fl_d cannot be read as this user, so nobody knows whose host this is" fl_as=failed; return
  fi
  fl_e=; [ -r "$fl_d/environment" ] && read -r fl_e <"$fl_d/environment"
  if [ -n "$fl_e" ] && [ "$fl_e" != "$1" ]; then
    fl_no="this host belongs to environment $fl_e, not $1"; return
  fi
  [ -d "$fl_d" ] || ( umask 077; mkdir -p "$fl_d" ) 2>/dev/null
  fl_lock && return
  if [ "$fl_as" = failed ]; then fl_no= fl_as=conflict; return; fi
  case $fl_no in *"same moment")  # or it is a stale one that cannot be moved away
    if ln -s x "$fl_d/lock.$$" 2>/dev/null; then rm -f "$fl_d/lock.$$"; else fl_no=; fi ;;
  esac
}
fl_keep() {
  { printf '%s\n' "$2" >"$fl_d/$1.new"; } 2>/dev/null && fl_sync "$fl_d/$1.new" &&
    mv -f "$fl_d/$1.new" "$fl_d/$1" 2>/dev/null && return
  fl_no="cannot write to $fl_d: no space left, or read-only" fl_as=failed; return 1
}
# The lock is a symbolic link that says who: made in one step, so never seen without its owner.
fl_lock() {
  fl_boot=; { read -r fl_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
  fl_started=; fl_stat "$$"
  fl_mine="$$ $fl_started $fl_boot"
  if ln -s "$fl_mine" "$fl_d/lock" 2>/dev/null; then fl_locked=1; return; fi
  fl_his=$(readlink "$fl_d/lock") ||
    { fl_no="cannot take the lock $fl_d/lock: no space left, or read-only" fl_as=failed; return 1; }
  set -- $fl_his
  if [ "$3" = "$fl_boot" ] && fl_stat "$1" && [ "$2" = "$fl_started" ]; then
    fl_no="another apply is running on this host (process $1)"; return 1
  fi
  # Stale. Of several that find it so, the one whose rename moves this very lock away goes on.
  mv -f "$fl_d/lock" "$fl_d/lock.$$" 2>/dev/null
  fl_x=$(readlink "$fl_d/lock.$$"); rm -f "$fl_d/lock.$$"
  if [ "$fl_x" = "$fl_his" ] && ln -s "$fl_mine" "$fl_d/lock" 2>/dev/null; then fl_locked=1; return; fi
  [ -z "$fl_x" ] || [ "$fl_x" = "$fl_his" ] || ln -s "$fl_x" "$fl_d/lock" 2>/dev/null
  fl_no="another apply began on this host at the same moment"; return 1
}
# What an attempt that was cut left beside its targets goes; its journal has served.
fl_tidy() {
  for fl_i in "$fl_d"/journal/*; do
    [ -f "$fl_i" ] || continue
    case $fl_i in "$fl_d/journal/$fl_a"|"$fl_d/journal/$fl_a.halt") continue ;; esac
    while IFS= read -r fl_l; do
      case $fl_l in "temp "*/.fleet.??????) ( fl_empty "${fl_l#temp }" ) ;; esac
    done <"$fl_i"
    rm -f -- "$fl_i"
  done
}
# fl_empty ROOM: removes a room that was left. Only if it is one still: root's, and of that name, wherever it is now.
fl_empty() {
  if [ -f "$1" ] && ! [ -L "$1" ]; then rm -f -- "$1"; return; fi
  cd -P -- "$1" 2>/dev/null && [ "${PWD##*/}" = "${1##*/}" ] || return
  set -- "$1" $(stat -c '%u %a' . /proc/self/)
  case "$2 $3" in "$4 700"|"$4 2700") rm -f -- ./* ./.[!.]*; cd .. && rmdir -- "./${1##*/}" ;; esac
}
fl_end() {
  if [ -n "$fl_locked" ]; then
    [ -n "$fl_no" ] || fl_j commit
    [ ! -e "$fl_d/journal/$fl_a.halt" ] || rm -f "$fl_d/journal/$fl_a.halt"
    [ "$(readlink "$fl_d/lock")" != "$fl_mine" ] || rm -f "$fl_d/lock"
    fl_locked=
  fi
}

# fl_due HASH ACTION ID: write down what will be due before the first step that causes it. restart beats reload.
fl_due() {
  if [ -f "$fl_d/due/$1" ]; then
    read -r fl_x fl_y <"$fl_d/due/$1"
    if [ "$fl_x" = restart ] || [ "$fl_x" = "$2" ]; then return; fi
  fi
  printf '%s %s\n' "$2" "$3" >"$fl_d/due.new" && fl_sync "$fl_d/due.new" && mv -f "$fl_d/due.new" "$fl_d/due/$1"
}

# Shells say "I/O error" when a disk is full; df says it in so many words.
fl_full() {
  set -- "$1" $(df -Pk "$1" 2>/dev/null | tail -n 1)
  case $5 in [0-9]|[0-9][0-9]) fl_say "no space left on the file system of $1 ($5 kB)" ;; esac
}

# fl_enter DIRECTORY: makes it the working directory, one name after the other. Who can change a symbolic link on the
# way decides where it leads: its owner, and the owner of the directory that it stands in. Only root may, or the owner
# of the directory that is reached. A name that is swapped after the look at it leads elsewhere, and is found.
fl_enter() {
  [ "$1" != . ] || return 0
  [ -d "$1/" ] || { fl_say "No such file or directory: $1"; return 1; }
  cd / || return 1
  fl_x=${1#/} fl_y= fl_i=0
  while [ -n "$fl_x" ]; do
    set -- "$1" "${fl_x%%/*}"
    case $fl_x in */*) fl_x=${fl_x#*/} ;; *) fl_x= ;; esac
    case $2 in ""|.) continue ;; ..) cd -P .. || return 1; continue ;; esac
    if [ -L "./$2" ]; then fl_follow "$2" || return; continue; fi
    set -- "$1" "${PWD%/}/$2" "$2"
    cd -P -- "./$3" || return 1
    [ "$PWD" = "$2" ] || { fl_say "somebody changes $2 at this moment"; return 75; }
  done
  if [ -n "$fl_y" ] && [ "$(stat -c %u .)" != "$fl_y" ]; then
    fl_say "a symbolic link of another user leads to $PWD"; return 75
  fi
}
# fl_follow NAME: what the link says comes before the rest of the way. fl_y: who decided so far, "-" for several.
fl_follow() {
  fl_i=$((fl_i + 1))
  set -- "$1" "$(readlink -- "./$1")" $(stat -c '%u %a' -- "./$1" .)
  if [ -z "$2" ] || [ -z "$6" ] || [ "$fl_i" -gt 40 ]; then fl_say "the link $PWD/$1 cannot be followed"; return 75; fi
  for fl_j in "$3" "$5"; do
    if [ "$fl_j" != 0 ]; then : "${fl_y:=$fl_j}"; [ "$fl_j" = "$fl_y" ] || fl_y=-; fi
  done
  if [ $((0$6 & 022)) != 0 ] && [ $((0$6 & 01000)) = 0 ]; then fl_y=-; fi
  case $2 in /*) cd / || return 1 ;; esac
  fl_x=${2#/}/$fl_x
}

# fl_room PATH: enters a directory beside PATH that only root can enter. Whoever owns the one around it can rename or
# replace it, but nobody can reach what is in it, and its `..` stays. Sets dir, n: the name in it, and fl_r: its own.
fl_room() {
  fl_x=${1%/*} n=${1##*/}
  fl_enter "${fl_x:-/}" || return
  dir=$PWD
  fl_r=$(mktemp -d ./.fleet.XXXXXX) || { fl_say "cannot write in $dir"; return 1; }
  fl_r=${fl_r#./}
  fl_j "temp $dir/$fl_r"
  fl_in=
  trap fl_leave EXIT
  cd -P -- "./$fl_r" && set -- $(stat -c '%u %a' . .. /proc/self/)  # the room, what is around it, and who this is
  case "$1 $2" in "$5 700"|"$5 2700") fl_in=1; return ;; esac
  # Where modes cannot be set (vfat), what is around it keeps others out as well.
  if [ "$1 $3" = "$5 $5" ] && [ $((0$4 & 022)) = 0 ]; then fl_in=1; return; fi
  fl_say "somebody changes $dir at this moment"; return 75
}

# Nothing is removed by a path that somebody else may have changed by now.
fl_leave() {
  if [ -n "$fl_in" ]; then rm -f -- "./$n" ./.seen ./.seen2 ./.try; cd ..; fi
  rmdir -- "./$fl_r" 2>/dev/null
}

# fl_at PATH: the same, where a regular file stands or nothing. Exit 75: conflict.
fl_at() {
  fl_room "$1" || return
  if [ -L "../$n" ]; then fl_say "a symbolic link stands at $1"; return 75; fi
  if [ -e "../$n" ] && ! [ -f "../$n" ]; then fl_say "$1 exists and is not a regular file"; return 75; fi
}

# fl_pin: a second name, in here, for the regular file at PATH, so that it stays the same file. Sets s. Only on a file
# system that has no hard links at all (vfat) is it the name itself: there nobody has an owner either.
fl_pin() {
  s=./.seen; [ "$n" != .seen ] || s=./.seen2
  if ! ln -- "../$n" "$s" 2>/dev/null; then
    if : >./.try && ln -- ./.try "$s" 2>/dev/null; then
      rm -f -- ./.try "$s"; fl_say "$dir/$n cannot be held: it has too many names, or is a mount point"; return 75
    fi
    rm -f -- ./.try; s=../$n
  fi
  if ! [ -f "$s" ] || [ -L "$s" ]; then fl_say "$dir/$n is no longer a regular file"; return 75; fi
}

# fl_move NAME: from in here to the directory around. -T, or a link to a directory would be followed; BusyBox does not
# replace such a link, and an old one has no -T.
fl_move() {
  mv -fT -- "./$1" "../$1" 2>/dev/null && return
  if [ -L "../$1" ]; then rm -f -- "../$1"; fi
  case $(mv -T 2>&1) in *option*) ! [ -d "../$1" ] && mv -f -- "./$1" "../$1" ;; *) mv -fT -- "./$1" "../$1" ;; esac
}

# fl_put PATH SEEN OWNER GROUP MODE SHA256 ENCODING CONTENT [VALIDATE...]: see Put in model/step.py. Exit 75: conflict.
fl_put() {
  p=$1 seen=$2 o=$3 g=$4 m=$5 want=$6 enc=$7 body=$8; shift 8
  [ -n "$fl_r" ] || fl_at "$p" || return
  set -C  # nothing in here is written over
  case $enc in
    text) printf %s "$body" >"./$n" ;;
    *) printf %s "$body" | base64 -d >"./$n" ;;
  esac || { fl_say "cannot write $dir/$fl_r/$n"; fl_full .; return 1; }
  set +C
  if [ "$(fl_sha "./$n")" != "$want" ]; then fl_say "$dir/$fl_r/$n is not what was sent"; fl_full .; return 1; fi
  if [ -f "../$n" ] && { [ -z "$o" ] || [ -z "$g" ] || [ -z "$m" ]; }; then
    fl_x=$(stat -c '%a %u %g' -- "../$n") || return 1
    fl_om=${fl_x%% *} fl_og=${fl_x##* }; fl_oo=${fl_x#* }; fl_oo=${fl_oo%% *}
    : "${o:=$fl_oo}" "${g:=$fl_og}" "${m:=$fl_om}"
  fi
  if [ -n "$o$g" ]; then chown -- "$o${g:+:$g}" "./$n" || return 1; fi
  chmod -- "${m:-644}" "./$n" || return 1
  # SELinux: a new file has its directory's default; one that is replaced may have a type of its own.
  if [ -e /sys/fs/selinux/enforce ] && [ -f "../$n" ]; then chcon --reference="../$n" -- "./$n" 2>/dev/null || :; fi
  if [ $# -gt 0 ]; then fl_valid "$@" || return; fi
  now=; if [ -f "../$n" ]; then now=$(fl_sha "../$n"); fi
  if [ "$now" != "$seen" ]; then fl_say "$p is no longer as it was seen"; return 75; fi
  fl_sync "./$n"
  fl_move "$n" || { fl_say "cannot replace $p: is it a mount point, or immutable?"; return 1; }
  fl_sync ..
}

# fl_valid WORDS: the user's own check; {path} in a word is the new file, under its own name, before it is in place.
fl_valid() {
  fl_i=$#
  while [ "$fl_i" -gt 0 ]; do
    w=$1 fl_x=; shift
    while :; do
      case $w in *"{path}"*) ;; *) break ;; esac
      fl_x=$fl_x${w%%"{path}"*}$dir/$fl_r/$n w=${w#*"{path}"}
    done
    set -- "$@" "$fl_x$w"; fl_i=$((fl_i - 1))
  done
  ( cd / && exec "$@" ) || { fl_say "validation failed: $*"; return 1; }
}

# fl_stop TASK STATUS CODE STEP: a step failed; the subshell of its task ends here.
fl_stop() { fl_j "failed $1" 2>/dev/null; fl_frame E "$1" "$2" "$3" "$4"; exit 97; }
"""
