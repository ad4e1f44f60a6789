"""The host's half of the script protocol: POSIX sh functions, sent once when a session begins. Constant text, no data.

Works in dash, bash --posix and BusyBox ash. Names begin with fl_. `$fl_m` is the session's random marker.
"""

# fl_kill SESSION SPARED: end every process of the session but one. Groups do not do: timeout(1) makes its own.
# Repeated, since what is forked meanwhile is found only then; bounded, since what hangs in the kernel cannot be ended.
KILL = r"""
fl_kill() {
  fl_n=10
  while [ "$fl_n" -gt 0 ]; do
    fl_n=$((fl_n - 1)) fl_more=
    for fl_i in /proc/[0-9]*/stat; do
      { IFS= read -r fl_l <"$fl_i"; } 2>/dev/null || continue
      fl_l=${fl_l##*) }; case $fl_l in [ZX]*) continue ;; esac
      fl_l=${fl_l#* * * }; fl_l=${fl_l%% *}; fl_i=${fl_i#/proc/}; fl_i=${fl_i%/stat}
      if [ "$fl_l" = "$1" ] && [ "$fl_i" != "$2" ]; then kill -KILL "$fl_i" 2>/dev/null && fl_more=1; fi
    done
    [ -n "$fl_more" ] || fl_n=0
  done
}
"""

PRELUDE = (
    KILL
    + r"""
LC_ALL=C LANG=C DEBIAN_FRONTEND=noninteractive; export LC_ALL LANG DEBIAN_FRONTEND
unset CDPATH ENV BASH_ENV
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
umask 022
fl_d=/var/lib/fleet
fl_w=

fl_frame() { printf '\n%s %s\n' "$fl_m" "$*"; }

# This shell's session, proc(5). One that neither this shell nor its parent (sudo) leads is not ours to end.
fl_sid=0
if IFS= read -r fl_l </proc/self/stat; then
  fl_l=${fl_l##*) }; fl_l=${fl_l#* * * }; fl_l=${fl_l%% *}
  case $fl_l in "$$"|"$PPID") fl_sid=$fl_l ;; esac
fi 2>/dev/null

# The watchdog ends this whole session when its time is up; the controller arms it.
fl_arm() {
  fl_disarm
  (
    trap 'kill "$s"; exit 0' TERM; sleep "$1" & s=$!; wait "$s"
    if [ "$fl_sid" != 0 ]; then read -r me _ </proc/self/stat; fl_kill "$fl_sid" "$me"; else kill -KILL 0; fi
  ) </dev/null >/dev/null 2>&1 &
  fl_w=$!
}
fl_disarm() {
  if [ -n "$fl_w" ]; then kill "$fl_w" 2>/dev/null; wait "$fl_w" 2>/dev/null; fl_w=; fi
}
trap fl_disarm EXIT

fl_sha() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256 <"$1"
  else openssl dgst -sha256 -r <"$1"; fi | { read -r fl_h fl_rest; printf %s "$fl_h"; }
}
fl_sync() { sync "$1" 2>/dev/null || sync; }
fl_say() { printf '%s\n' "$*"; }

# Journal of this attempt: append-only; `commit` comes last.
fl_j() { printf '%s\n' "$*" >>"$fl_d/journal/$fl_a"; }

# fl_begin ENVIRONMENT TOKEN ATTEMPT: may this writer write here? Sets fl_no to the reason when it may not.
fl_begin() {
  fl_no= fl_a=$3
  fl_boot=; [ -r /proc/sys/kernel/random/boot_id ] && read -r fl_boot </proc/sys/kernel/random/boot_id
  if ! [ -d "$fl_d/due" ] || ! [ -d "$fl_d/journal" ]; then
    fl_x=$(mkdir -p "$fl_d/due" "$fl_d/journal" 2>&1) || { fl_no="cannot keep a record on this host: $fl_x"; return; }
  fi
  if ! mkdir "$fl_d/lock" 2>/dev/null; then
    fl_p= fl_b=; { read -r fl_p fl_b <"$fl_d/lock/owner"; } 2>/dev/null
    if [ -n "$fl_p" ] && [ "$fl_b" = "$fl_boot" ] && kill -0 "$fl_p" 2>/dev/null; then
      fl_no="another apply is running on this host (process $fl_p)"; return
    fi
    rm -rf "$fl_d/lock"; mkdir "$fl_d/lock" || { fl_no="cannot take the lock $fl_d/lock"; return; }
  fi
  fl_locked=1
  printf '%s %s\n' "$$" "$fl_boot" >"$fl_d/lock/owner"
  fl_e=; [ -r "$fl_d/environment" ] && read -r fl_e <"$fl_d/environment"
  if [ -n "$fl_e" ] && [ "$fl_e" != "$1" ]; then
    fl_no="this host belongs to environment $fl_e, not $1"; return
  fi
  fl_f=0; [ -r "$fl_d/fence" ] && read -r fl_f <"$fl_d/fence"
  if ! [ "$2" -gt "$fl_f" ]; then
    fl_no="a newer apply has been here (token $fl_f, this one has $2)"; return
  fi
  [ -n "$fl_e" ] || fl_keep environment "$1" || return
  fl_keep fence "$2" || return
  fl_tidy
  fl_j "begin $1 $2" 2>/dev/null || fl_no="cannot write to $fl_d/journal: no space left, or read-only"
}
fl_keep() {
  { printf '%s\n' "$2" >"$fl_d/$1.new"; } 2>/dev/null && mv -f "$fl_d/$1.new" "$fl_d/$1" 2>/dev/null && return
  fl_no="cannot write to $fl_d: no space left, or read-only"; return 1
}
# What an attempt that was cut left beside its targets goes; its journal has served.
fl_tidy() {
  for fl_i in "$fl_d"/journal/*; do
    [ -f "$fl_i" ] && [ "$fl_i" != "$fl_d/journal/$fl_a" ] || continue
    while IFS= read -r fl_l; do
      case $fl_l in "temp "*/.fleet.??????) rm -f -- "${fl_l#temp }" ;; esac
    done <"$fl_i"
    rm -f -- "$fl_i"
  done
}
fl_end() {
  if [ -n "$fl_locked" ]; then
    [ -n "$fl_no" ] || fl_j commit
    rm -rf "$fl_d/lock"; fl_locked=
  fi
}

# fl_due HASH ACTION ID: write down what will be due before the first step that causes it. restart beats reload.
fl_due() {
  if [ -f "$fl_d/due/$1" ]; then
    read -r fl_x fl_y <"$fl_d/due/$1"
    if [ "$fl_x" = restart ] || [ "$fl_x" = "$2" ]; then return; fi
  fi
  printf '%s %s\n' "$2" "$3" >"$fl_d/due/$1" && fl_sync "$fl_d/due/$1"
}

# Shells say "I/O error" when a disk is full; df says it in so many words.
fl_full() {
  set -- "$1" $(df -Pk "$1" 2>/dev/null | tail -n 1)
  case $5 in [0-9]|[0-9][0-9]) fl_say "no space left on the file system of $1 ($5 kB)" ;; esac
}

# fl_put PATH SEEN OWNER GROUP MODE SHA256 ENCODING CONTENT [VALIDATE...]: observe-facts 6.2. Exit 75: conflict.
fl_put() {
  p=$1 seen=$2 o=$3 g=$4 m=$5 want=$6 enc=$7 body=$8; shift 8
  dir=${p%/*}; [ -n "$dir" ] || dir=/
  if [ -L "$p" ]; then fl_say "a symbolic link stands at $p"; return 75; fi
  if [ -e "$p" ] && ! [ -f "$p" ]; then fl_say "$p exists and is not a regular file"; return 75; fi
  t=$(mktemp "$dir/.fleet.XXXXXX") || return 1
  trap 'rm -f -- "$t"' EXIT
  fl_j "temp $t"
  case $enc in
    text) printf %s "$body" >"$t" ;;
    *) printf %s "$body" | base64 -d >"$t" ;;
  esac || { fl_say "cannot write $t"; fl_full "$dir"; return 1; }
  if [ "$(fl_sha "$t")" != "$want" ]; then fl_say "$t is not what was sent"; fl_full "$dir"; return 1; fi
  if [ -f "$p" ]; then
    if [ -z "$o" ] || [ -z "$g" ] || [ -z "$m" ]; then
      fl_x=$(stat -c '%a %u %g' -- "$p") || return 1
      fl_om=${fl_x%% *} fl_og=${fl_x##* }; fl_oo=${fl_x#* }; fl_oo=${fl_oo%% *}
      : "${o:=$fl_oo}" "${g:=$fl_og}" "${m:=$fl_om}"
    fi
  fi
  if [ -n "$o$g" ]; then chown -- "$o${g:+:$g}" "$t" || return 1; fi
  chmod -- "${m:-644}" "$t" || return 1
  if [ $# -gt 0 ]; then
    n=$#
    while [ "$n" -gt 0 ]; do
      w=$1; shift
      case $w in *"{path}"*) w=${w%%"{path}"*}$t${w#*"{path}"} ;; esac
      set -- "$@" "$w"; n=$((n - 1))
    done
    "$@" || { fl_say "validation failed: $*"; return 1; }
  fi
  now=; if [ -f "$p" ]; then now=$(fl_sha "$p"); fi
  if [ "$now" != "$seen" ]; then fl_say "$p is no longer as it was seen"; return 75; fi
  fl_sync "$t"
  mv -f -- "$t" "$p" || { fl_say "cannot replace $p: a mount point, or immutable?"; return 1; }
  fl_sync "$dir"
}

# fl_stop TASK STATUS CODE STEP: a step failed; the subshell of its task ends here.
fl_stop() { fl_j "failed $1" 2>/dev/null; fl_frame E "$1" "$2" "$3" "$4"; exit 97; }
"""
)
