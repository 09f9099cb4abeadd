#!/usr/bin/env bash
# The local cloud: the services on this machine, and the functions deployed to them by deploy.sh
# itself through local/bin/gcloud.
#
#   ./deploy.sh local [OPTIONS]          everything up, in the foreground, until Ctrl-C
#   ./deploy.sh local --demo [--firestore HOST:PORT]
#                                        play the shop's story in a cloud of its own, then end
#   ./deploy.sh local publish JSON|FILE|- [--attribute KEY=VALUE] [--topic T]
#                                        publish events
#   ./deploy.sh local tick JOB [--at TIME]
#                                        fire a schedule now, or as the tick of that time
#   ./deploy.sh local advance 2h|45d     move the clock through everything that falls due
#   ./deploy.sh local idle               wait until nothing is in flight and nothing is due
#   ./deploy.sh local faults … | off     disturb deliveries and calls from now on: faults --help
#   ./deploy.sh local status             what there is: clock, queues, functions, dead letters, …
#   ./deploy.sh local reset              forget all that happened, the clock included
#   ./deploy.sh local export FILE        write the whole state to a file
#   ./deploy.sh local import FILE        go on with an exported state
#   ./deploy.sh local down               stop; the state stays
#   ./deploy.sh local show …, dead-letters …, reminders …, campaigns …, erase …, doctor, console
#                                        the same operations as on a real project
#
# OPTIONS: --port N; --reload starts functions anew when their files are changed; and --firestore, --pubsub, --tasks HOST:PORT for a server of somebody else's.
# Each verb has --help, and --json for one JSON document on standard output. The exit code is 0, 1
# if it could not be done, or 64 if it was called in a wrong way.
#
# The state is in .local (or $LOCAL_STATE); $LOCAL_PORT is the port (8700), 0: any free ones. Needs
# Python 3.11 or newer; what else it needs is installed in .venv (or $LOCAL_VENV).
set -euo pipefail

readonly PROJECT=local-project
readonly SETTINGS=(
  MESSAGING_URL SMTP_URL MESSAGE_FROM MESSAGE_ALLOW UNSUBSCRIBE_URL UNSUBSCRIBE_SECRET
  INVENTORY_URL CART_REMINDER_DELAY
)

# fail CODE SENTENCE: ends the script.
fail() {
  printf './deploy.sh local: %s\n' "$2" >&2
  exit "$1"
}

# module NAME ARGUMENTS…: runs a module of the project, wherever the caller stands.
module() { PYTHONPATH=$root exec "$python" -P -m "$@"; }

# running WORDS…: fails unless a cloud runs, or only help is asked for.
running() {
  if [ ! -e "$LOCAL_STATE/env" ] && ! [[ " $* " =~ ' '(-h|--help)' ' ]]; then
    fail 1 "no local cloud is running in $LOCAL_STATE; ./deploy.sh local starts one"
  fi
}

# operate VERB …: an operation on the running cloud, which to it is a project like any other.
operate() {
  if [ -e "$LOCAL_STATE/env" ]; then
    set -a
    # shellcheck source=/dev/null
    . "$LOCAL_STATE/env"
    set +a
  fi
  PATH=$root/local/bin:$(dirname "$python"):$PATH module operations "$@" --env local
}

# up OPTIONS…: the cloud in the background until it answers, the functions deployed to it, and then
# nothing but what the cloud prints, until it ends.
up() {
  start "$@"
  deploy >/dev/null
  show_console
  printf 'ready\n'
  cat "$LOCAL_STATE/env"
  trap 'exit 0' INT TERM
  cat <&3 &
  wait "$cloud"
}

# Starts the console beside the cloud, which goes on without one, and waits until it answers.
show_console() {
  local tried
  (operate console --announce >"$work/console.log" 2>&1) &
  console=$!
  for ((tried = 0; tried < 300; tried++)); do
    if grep -q '^CONSOLE_URL=' "$LOCAL_STATE/env"; then return; fi
    if ! kill -0 "$console" 2>/dev/null; then break; fi
    sleep 0.1
  done
  printf 'there is no console: %s\n' "$(tail -n 1 "$work/console.log")" >&2
}

# start OPTIONS…: sets $cloud, its process, and $LOCAL_URL; what it prints is on file descriptor 3.
start() {
  local line
  mkfifo "$work/output"
  (module local up --project "$PROJECT" "$@") >"$work/output" &
  cloud=$!
  trap stop EXIT
  trap 'exit 130' INT TERM
  exec 3<"$work/output"
  while IFS= read -r line <&3; do
    case $line in
      'local cloud: http'*)
        line=${line#local cloud: }
        export LOCAL_URL=${line%% *}
        return
        ;;
      *) printf '%s\n' "$line" ;;
    esac
  done
  wait "$cloud"
}

# Ends the cloud, if it runs, and waits for it; the state stays.
stop() {
  if [ -n "${console-}" ]; then kill "$console" 2>/dev/null || true; fi
  if kill "$cloud" 2>/dev/null; then
    wait "$cloud" || fail 1 "the cloud ended with code $?"
  fi
  rm -rf "$work"
}

# The same deployment as everywhere. Its gcloud is ours, run by our Python.
deploy() {
  PATH=$root/local/bin:$(dirname "$python"):$PATH \
    "$root/deploy.sh" apply local --adopt 'database/(default)' --no-proof
}

main() {
  local here
  here=$(cd "$(dirname "$0")" && pwd)
  root=$(dirname "$here")
  export LOCAL_STATE=${LOCAL_STATE:-$root/.local}
  case ${1-} in
    help | -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0"
      return
      ;;
    publish | tick | advance | idle | faults | status | reset | export | import | down)
      running "$@"
      python=$("$here/venv.sh" "$here/requirements.txt")
      module local "$@"
      ;;
    show | dead-letters | reminders | campaigns | erase | doctor | console)
      running "$@"
      python=$("$here/venv.sh" "$here/requirements.txt")
      operate "$@"
      ;;
    '' | --*) ;;
    *) fail 64 "there is no $1; see ./deploy.sh local --help" ;;
  esac
  python=$("$here/venv.sh" "$here/requirements.txt")
  if [ "${1-}" = --demo ]; then
    shift
    unset "${SETTINGS[@]}" # nothing from outside changes the story
    module local.demo "$@"
  fi
  work=$(mktemp -d)
  up "$@"
}

main "$@"
