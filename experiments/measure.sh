# Sourced by the `run` of each measurement: builds, measures, and makes tables of medians. Needs bash, cargo and Linux.
#
#   measure NAME ROUND COMMAND...   runs it and appends NAME,ROUND,user_s,system_s,wall_s,load_1m to $rows
#   medians                         a table: name, median and least CPU seconds (user + system), median wall seconds
#
# What a command prints goes to $work/NAME.log; one that fails ends the run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd -P)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
work=${WORK:-${TMPDIR:-/tmp}/minutely-experiments}
rows=$here/rows.csv
mkdir -p "$work"

cargo build --locked --release --workspace --manifest-path "$root/Cargo.toml"
bin=${CARGO_TARGET_DIR:-$root/target}/release

begin() { # HEADER: no row of an earlier run stays
  echo "${1:-name,round,user_s,system_s,wall_s,load_1m}" >"$rows"
}

measure() {
  local name=$1 round=$2 load code=0
  shift 2
  read -r load _ </proc/loadavg
  rm -rf "$work/data" "$work/out.csv"
  local TIMEFORMAT='%U,%S,%R' times
  times=$({ time "$@" >"$work/$name.log" 2>&1; } 2>&1) || code=$?
  [[ $code == 0 ]] || { tail "$work/$name.log" >&2; return "$code"; }
  echo "$name,$round,$times,$load" | tee -a "$rows"
}

medians() {
  echo '| | CPU s, median | least | wall s, median |'
  echo '|---|---|---|---|'
  local name cpu wall
  while read -r name; do
    cpu=$(awk -F, -v n="$name" '$1 == n {print $3 + $4}' "$rows" | sort -n)
    wall=$(awk -F, -v n="$name" '$1 == n {print $5}' "$rows" | sort -n)
    echo "| $name | $(middle <<<"$cpu") | $(head -n 1 <<<"$cpu") | $(middle <<<"$wall") |"
  done < <(tail -n +2 "$rows" | cut -d, -f1 | awk '!seen[$0]++')
}

middle() { awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)]}'; }

machine() { # for summary.md
  echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
    "$(awk '/MemTotal/ {printf "%.0f GB", $2 / 1e6}' /proc/meminfo), Linux $(uname -r), $(rustc --version)," \
    "commit $(git -C "$root" rev-parse --short HEAD)"
}

ticks() { # the files of 10 million records
  [[ -e $work/ticks/done ]] || { "$bin/ticks" "$work/ticks" && touch "$work/ticks/done"; }
}
