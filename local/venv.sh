#!/usr/bin/env bash
# Prints the path of a Python that has the given requirements installed, in a virtual environment
# that is made, or brought up to date, only when needed:
#
#   local/venv.sh REQUIREMENTS_FILE
#
# The environment is .venv in the project, or $LOCAL_VENV. Progress goes to stderr.
set -euo pipefail

# The first interpreter that is new enough. Running it tells: a name on PATH may be an empty shim.
find_python() {
  local name
  for name in python3 python3.11 python3.12 python3.13 python3.14 python; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$name"
      return
    fi
  done
  printf 'No Python 3.11 or newer found on PATH: install one from https://www.python.org/downloads/\n' >&2
  return 1
}

main() {
  local here python
  here=$(cd "$(dirname "$0")" && pwd)
  python=$(find_python)
  exec "$python" -I "$here/setup/venv.py" "$1"
}

main "$@"
