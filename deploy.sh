#!/usr/bin/env bash
# The door:
#
#   ./deploy.sh plan    ENV              say what apply would change; changes nothing
#   ./deploy.sh apply   ENV              make it so; a second time changes nothing
#   ./deploy.sh destroy ENV              remove what is ours in that environment
#   ./deploy.sh doctor  ENV              is it as it should be, and does all that is due get done?
#   ./deploy.sh pause   ENV              stop everything, and lose nothing for 31 days
#   ./deploy.sh resume  ENV              go on
#   ./deploy.sh secret  ENV NAME         keep a secret's value, read from standard input
#   ./deploy.sh local   …                the local cloud: ./deploy.sh local --help
#
#   ./deploy.sh show    ENV ID           what happened to an event, order, user, reminder, message …
#   ./deploy.sh dead-letters … ENV …     what could not be processed: list, show, replay, discard
#   ./deploy.sh reminders … ENV …        what is due later: list, show, cancel, reschedule
#   ./deploy.sh campaigns … ENV …        runs: list, show, cancel
#   ./deploy.sh erase   ENV USER         forget a person
#   ./deploy.sh console ENV              all of it as a page on this machine
#
# ENV is an environment of functions/bundle.toml, where everything is written that is deployed; or
# --env ENV, or --project P --region R, instead. Each command has a --help. The
# first group runs deployment/, with nothing but Python 3.11 or newer and gcloud (SDK 528 or newer),
# as whoever is logged in there. The second runs operations/, with the packages of its requirements.txt,
# which are installed in .venv (or $LOCAL_VENV), as the application default credentials or gcloud say.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
readonly here

fail() {
  printf 'deploy.sh: %s\n' "$*" >&2
  exit 64
}

# Prints the first Python on PATH that is new enough.
find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$name"
      return
    fi
  done
  fail "Python 3.11 or newer is needed, and not on PATH; $(python3 --version 2>&1) is too old"
}

main() {
  local python
  case ${1-} in
    local)
      shift
      exec "$here/local/run.sh" "$@"
      ;;
    '' | help | -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$here/deploy.sh"
      ;;
    doctor)
      if python=$("$here/local/venv.sh" "$here/operations/requirements.txt"); then
        PYTHONPATH=$here exec "$python" -P -m operations "$@"
      fi
      python=$(find_python)
      PYTHONPATH=$here "$python" -P -m deployment "$@"
      printf '! not asked: what it does; only what is deployed was looked at\n' >&2
      exit 1
      ;;
    plan | apply | destroy | pause | resume | secret)
      python=$(find_python)
      PYTHONPATH=$here exec "$python" -P -m deployment "$@"
      ;;
    show | dead-letters | reminders | campaigns | erase | console)
      python=$("$here/local/venv.sh" "$here/operations/requirements.txt")
      PYTHONPATH=$here exec "$python" -P -m operations "$@"
      ;;
    *) fail "there is no command $1; see ./deploy.sh --help" ;;
  esac
}

main "$@"
