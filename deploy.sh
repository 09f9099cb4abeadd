#!/usr/bin/env bash
# Deploys the functions and all they need, to Google Cloud or to this machine:
#
#   ./deploy.sh plan    --project P --region R          say what apply would do; changes nothing
#   ./deploy.sh apply   --project P --region R          create or update; again: changes nothing
#   ./deploy.sh destroy --project P --region R [--yes] [--with-queues]
#                                                       remove it; the database stays
#   ./deploy.sh local …                                 the local cloud: ./deploy.sh local --help
#
# It talks to nothing but gcloud (SDK 528 or newer), as whoever is logged in there. What exists is
# written in the tables below. Settings of the functions (SETTINGS below: MESSAGING_URL, SMTP_URL,
# …) are taken from this command's environment at every apply; one that is not set there is unset.
# FIRESTORE_LOCATION places a new database elsewhere than in the region.
set -euo pipefail

# --- What exists ------------------------------------------------------------------------------
# A table is a function: it runs the command it is given once for each row, adding the row to it.

readonly RUNTIME=python312
readonly DATABASE=${FIRESTORE_DATABASE:-(default)}

# Attempts at one piece of work until it is dead-lettered: an hour of a queue's growing pauses.
readonly MAX_ATTEMPTS=10

# What reaches the functions from the caller's environment.
readonly SETTINGS=(
  MESSAGING_URL SMTP_URL MESSAGE_FROM MESSAGE_ALLOW UNSUBSCRIBE_URL UNSUBSCRIBE_SECRET
  INVENTORY_URL CART_REMINDER_DELAY OIDC_ISSUER
)

# memory     Python with the Google clients takes about 150 MB, each request at once a few more
# cpu        the least that may serve more than one request at once
# at once    requests in one instance, each a thread; they wait for the network most of the time
# instances  bounds the bill, and what Firestore and the messaging provider see; instances times
#            at once is more than the queues below dispatch, so the platform never answers 429
# seconds    a handler stops working (budget) before the platform stops it (timeout) and before
#            its claim may be taken over (lease). fanout's shards are long, the others' work short
functions() {
  #             fed by           memory  cpu  at once  instances  budget  timeout  lease
  "$@" consumer  commerce-events  512Mi   1    8        20         50      60       90
  "$@" reminder  tasks            512Mi   1    8        20         50      60       90
  "$@" fanout    tasks            512Mi   1    4        5          240     300      360
}

# a second   reminders and digests: what one messaging provider takes; inventory: a service of
#            somebody's; fanout: its tasks are few and each works for minutes
# attempts   outlast a day in which nothing works, and half a day of "not yet"
queues() {
  #              calls     a second  at once  attempts  pauses: first  last  doublings
  "$@" reminders  reminder  50        50       300       10             600   5
  "$@" digests    reminder  100       100      300       10             600   5
  "$@" inventory  -         10        10       300       10             600   5
  "$@" fanout     fanout    5         10       300       10             600   5
}

# A week without its digest is long, so its tick is retried for a day; the sweep comes again soon.
# Times are UTC: a job in a zone with summer time runs twice or not at all once a year.
schedules() {
  #                   when            calls   campaign        retries  for at least
  "$@" weekly-digest  '0 8 * * 1'     fanout  weekly_digest   5        90000
  "$@" reminder-sweep '*/15 * * * *'  fanout  reminder_sweep  0        0
}

# The events, and where Pub/Sub puts what it could not deliver. 100 deliveries with pauses of 10 to
# 600 s (Pub/Sub allows no more) last 15 hours; then a message waits in commerce-events-dead for 31
# days, to be published again. 600 s is also the longest a push may take.
readonly TOPIC=commerce-events
readonly ACK_DEADLINE=600 RETENTION=604800 FIRST_PAUSE=10 LAST_PAUSE=600 DELIVERIES=100
readonly DEAD_RETENTION=2678400
topics() {
  "$@" "$TOPIC"
  "$@" "$TOPIC-dead"
}

accounts() {
  "$@" functions-runtime  'The functions run as this account'
  "$@" functions-builder  'The functions are built as this account'
  "$@" tasks-caller       'Cloud Tasks calls the functions as this account'
  "$@" scheduler-caller   'Cloud Scheduler calls fanout as this account'
  "$@" events-trigger     'Pub/Sub calls consumer as this account'
}

# Who may do what on what. run.invoker opens a function, cloudfunctions.invoker would not.
account_bindings() {
  "$@" project  "$project"        roles/datastore.user              functions-runtime
  "$@" project  "$project"        roles/cloudtasks.enqueuer         functions-runtime
  "$@" project  "$project"        roles/cloudbuild.builds.builder   functions-builder
  "$@" account  tasks-caller      roles/iam.serviceAccountUser      functions-runtime
  # Projects that had Pub/Sub before April 2021 do not let it make tokens otherwise.
  "$@" account  events-trigger    roles/iam.serviceAccountTokenCreator  pubsub
}
topic_bindings() {
  "$@" topic    "$TOPIC-dead"     roles/pubsub.publisher            pubsub
}
function_bindings() {
  "$@" service  consumer          roles/run.invoker                 events-trigger
  "$@" service  reminder          roles/run.invoker                 tasks-caller
  "$@" service  fanout            roles/run.invoker                 tasks-caller
  "$@" service  fanout            roles/run.invoker                 scheduler-caller
}

# Collections that only grow: documents go at their expire_at, which no query asks for.
expiring() {
  "$@" idempotency
  "$@" reminders
  "$@" messages
  "$@" fanouts
  "$@" dead_letters
}

readonly APIS=(
  artifactregistry cloudbuild cloudfunctions cloudresourcemanager cloudscheduler cloudtasks
  eventarc firestore iam pubsub run
)

# --- gcloud -----------------------------------------------------------------------------------

fail() {
  printf 'deploy.sh: %s\n' "$*" >&2
  exit 1
}

# call ARGUMENTS…: runs gcloud, sets $answer and $complaint. What passes by itself (a service that
# was just enabled, an account that was just made, too many requests, two changes of one policy at
# a time) is tried again for two minutes; gcloud itself repeats after 5xx only.
call() {
  local pause status
  for pause in 1 2 4 8 15 30 60 ''; do
    status=0
    answer=$(gcloud "$@" --project="$project" --quiet </dev/null 2>"$scratch/stderr") || status=$?
    complaint=$(<"$scratch/stderr")
    if [ "$status" -eq 0 ] || [ -z "$pause" ] || ! is_passing; then
      return "$status"
    fi
    sleep "$pause"
  done
}

is_passing() {
  case $complaint in
    *'has not been used in project'*) [ "$mode" = apply ] ;;
    *'concurrent policy changes'* | *ABORTED* | *RESOURCE_EXHAUSTED* | *UNAVAILABLE*) true ;;
    *'ervice account '*' does not exist'* | *'erviceAccounts/'*' was not found'*) true ;;
    *'he database '*' does not exist'*) [ -n "$database_is_new" ] ;;
    *) false ;;
  esac
}

# found ARGUMENTS…: the same for reading. False if the thing does not exist; any other error ends
# the script. Before the first apply the services are disabled: nothing can exist then.
found() {
  if call "$@"; then
    return 0
  fi
  case $complaint in
    *NOT_FOUND* | *'status=[404]'* | *'was not found'* | *'does not exist'*) return 1 ;;
    *'has not been used in project'*) [ "$mode" = apply ] || return 1 ;;
  esac
  fail "gcloud $1 $2 $3: $complaint"
}

# list NAME ARGUMENTS…: what there is of a kind is kept in the file NAME, `word|word|` a line.
list() {
  local name=$1
  shift
  if found "$@" && [ -n "$answer" ]; then
    printf '%s\n' "$answer" | sed 's/$/|/' >"$work/$name"
  else
    : >"$work/$name"
  fi
}

# listed NAME BEGINNING: whether a line of the list begins so, and a word ends there; sets $answer.
listed() {
  local line
  while IFS= read -r line; do
    if [ "${line#"$2|"}" != "$line" ]; then
      answer=${line%|}
      return 0
    fi
  done <"$work/$1"
  return 1
}

# act SIGN WHAT ARGUMENTS…: says it, and unless this is a plan runs gcloud.
act() {
  local sign=$1 what=$2
  shift 2
  printf '%s %s\n' "$sign" "$what"
  printf '%s\n' "$sign" >>"$work/changes"
  if [ "$mode" = plan ] || call "$@"; then
    return
  fi
  case $sign$complaint in
    # The answer to a create was lost, and gcloud's own repetition met what the first had made.
    +*ALREADY_EXISTS* | +*'already exists'*) ;;
    -*NOT_FOUND* | -*'status=[404]'* | -*'was not found'*) ;;
    *) fail "$what: $complaint" ;;
  esac
}

create() { act + "$@"; }
change() { act '~' "$@"; }
remove() { act - "$@"; }

# differs WHAT IS WANTED: whether they are not the same, and says so.
differs() {
  if [ "$2" = "$3" ]; then
    return 1
  fi
  printf '  %s: is %s, will be %s\n' "$1" "$2" "$3"
}

# at_once COMMAND NAME…: runs COMMAND NAME for all names at the same time; fails if one does.
at_once() {
  local command=$1 name pid pids=() status=0
  shift
  for name in "$@"; do
    in_its_folder "$command" "$name" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || status=$?
  done
  return "$status"
}

in_its_folder() {
  scratch=$(mktemp -d "$work/XXXXXX")
  "$@"
}

run() { "$1"; }

# row TABLE NAME: sets $row to the words of the row that begins with NAME.
row() { "$1" keep_row "$2"; }
keep_row() {
  if [ "$1" = "$2" ]; then
    shift
    row=("$@")
  fi
}

email() {
  case $1 in
    pubsub) printf 'service-%s@gcp-sa-pubsub.iam.gserviceaccount.com' "$number" ;;
    *) printf '%s@%s.iam.gserviceaccount.com' "$1" "$project" ;;
  esac
}

# --- Services, accounts, bindings -------------------------------------------------------------

ensure_apis() {
  local api missing=()
  list apis services list --enabled --format='value(config.name)'
  for api in "${APIS[@]}"; do
    listed apis "$api.googleapis.com" || missing+=("$api.googleapis.com")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    create "services ${missing[*]%%.*}" services enable "${missing[@]}"
  fi
}

ensure_accounts() {
  list accounts iam service-accounts list --format='value(email)'
  accounts ensure_account
  account_bindings ensure_binding
}

ensure_account() {
  listed accounts "$(email "$1")" ||
    create "account $1" iam service-accounts create "$1" --display-name="$2"
}

# ensure_binding KIND NAME ROLE ACCOUNT. One after the other: a policy is read, changed, written.
ensure_binding() {
  local member command resource place condition
  member=serviceAccount:$(email "$4")
  policy_of "$1" "$2"
  listed "policy-$1-$2" "$3|$member|" ||
    create "$4 may ${3#roles/} on $1 $2" \
      "${command[@]}" add-iam-policy-binding "$resource" --member="$member" --role="$3" \
      ${condition[@]+"${condition[@]}"} ${place[@]+"${place[@]}"}
}

# policy_of KIND NAME: how gcloud names it; its bindings are listed once.
policy_of() {
  resource=$2 place=() condition=()
  case $1 in
    project) command=(projects) condition=(--condition=None) ;;
    account)
      command=(iam service-accounts) condition=(--condition=None)
      resource=$(email "$2")
      ;;
    service) command=(run services) place=(--region="$region") ;;
    *) command=(pubsub "$1s") ;;
  esac
  [ -e "$work/policy-$1-$2" ] ||
    list "policy-$1-$2" "${command[@]}" get-iam-policy "$resource" ${place[@]+"${place[@]}"} \
      --flatten='bindings[].members' \
      --format='value[separator="|"](bindings.role,bindings.members,bindings.condition.title)'
}

# --- Firestore --------------------------------------------------------------------------------

ensure_firestore() {
  ensure_database
  list ttls firestore fields ttls list --database="$DATABASE" --format='value(name)'
  list exemptions firestore indexes fields list --database="$DATABASE" --format='value(name)'
  expiring ensure_expiry
}

ensure_database() {
  local describe=(firestore databases describe --database="$DATABASE" --format='value(type)')
  if found "${describe[@]}"; then
    [ "$answer" = FIRESTORE_NATIVE ] || fail "database $DATABASE is $answer, not FIRESTORE_NATIVE"
    return
  fi
  create "database $DATABASE" firestore databases create --database="$DATABASE" \
    --location="${FIRESTORE_LOCATION:-$region}" --type=firestore-native --delete-protection
  database_is_new=yes # create does not wait, nor fail when what it started does
  [ "$mode" = plan ] || call "${describe[@]}" || fail "database $DATABASE: $complaint"
}

# Without --async each of these would be waited for, for minutes.
ensure_expiry() {
  local field="projects/$project/databases/$DATABASE/collectionGroups/$1/fields/expire_at"
  local where=(--collection-group="$1" --database="$DATABASE" --async)
  listed ttls "$field" ||
    create "expiry of $1" firestore fields ttls update expire_at --enable-ttl "${where[@]}"
  listed exemptions "$field" ||
    create "no index on expire_at of $1" \
      firestore indexes fields update expire_at --disable-indexes "${where[@]}"
}

# --- Topics, queues, schedules ----------------------------------------------------------------

ensure_topics() {
  list topics pubsub topics list --format='value(name.basename())'
  topics ensure_topic
  topic_bindings ensure_binding
  list subscriptions pubsub subscriptions list \
    --format='value[separator="|"](name.basename(),messageRetentionDuration)'
  ensure_dead_subscription "$TOPIC-dead" --message-retention-duration="${DEAD_RETENTION}s"
}

ensure_topic() {
  listed topics "$1" || create "topic $1" pubsub topics create "$1"
}

ensure_dead_subscription() {
  if ! listed subscriptions "$1"; then
    create "subscription $1" pubsub subscriptions create "$@" --topic="$TOPIC-dead" \
      --ack-deadline=60 --expiration-period=never
  elif differs "subscription $1" "$answer" "$1|${DEAD_RETENTION}s"; then
    change "subscription $1" pubsub subscriptions update "$@"
  fi
}

readonly QUEUE='value[separator="|"](name.basename(),rateLimits.maxDispatchesPerSecond,'\
'rateLimits.maxConcurrentDispatches,retryConfig.maxAttempts,retryConfig.minBackoff,'\
'retryConfig.maxBackoff,retryConfig.maxDoublings,state)'

ensure_queues() {
  list queues tasks queues list --location="$region" --format="$QUEUE"
  queues ensure_queue
}

# ensure_queue NAME CALLS RATE AT_ONCE ATTEMPTS FIRST LAST DOUBLINGS
ensure_queue() {
  local is settings=(
    --location="$region" --max-dispatches-per-second="$3" --max-concurrent-dispatches="$4"
    --max-attempts="$5" --min-backoff="$6s" --max-backoff="$7s" --max-doublings="$8"
  )
  if ! listed queues "$1"; then
    create "queue $1" tasks queues create "$1" "${settings[@]}"
    return
  fi
  is=${answer//.0|/|}
  if differs "queue $1" "${is%|*}" "$1|$3|$4|$5|$6s|$7s|$8"; then
    change "queue $1" tasks queues update "$1" "${settings[@]}"
  fi
  if [ "${is##*|}" != RUNNING ]; then
    printf '! queue %s is %s: gcloud tasks queues resume %s --location=%s --project=%s\n' \
      "$1" "${is##*|}" "$1" "$region" "$project"
  fi
}

readonly JOB='value[separator="|"](name.basename(),schedule,timeZone,httpTarget.uri,'\
'httpTarget.httpMethod,httpTarget.body,httpTarget.oidcToken.serviceAccountEmail,'\
'httpTarget.oidcToken.audience,attemptDeadline,retryConfig.retryCount,'\
'retryConfig.maxRetryDuration)'

ensure_schedules() {
  list jobs scheduler jobs list --location="$region" --format="$JOB"
  schedules ensure_schedule
}

# ensure_schedule NAME WHEN FUNCTION CAMPAIGN RETRIES SECONDS
ensure_schedule() {
  local url body caller deadline wanted settings header=Content-Type=application/json
  row functions "$3"
  deadline=$((row[7] + 20))s
  url=$(url_of "$3")
  body="{\"campaign\":\"$4\"}"
  caller=$(email scheduler-caller)
  wanted="$1|$2|Etc/UTC|$url|POST|$(printf %s "$body" | base64)|$caller|$url|$deadline|$5|$6s"
  settings=(
    --location="$region" --schedule="$2" --time-zone=Etc/UTC --uri="$url" --http-method=post
    --message-body="$body" --oidc-service-account-email="$caller" --oidc-token-audience="$url"
    --attempt-deadline="$deadline" --max-retry-attempts="$5" --max-retry-duration="$6s"
  )
  if ! listed jobs "$1"; then
    create "schedule $1" scheduler jobs create http "$1" "${settings[@]}" --headers="$header"
  elif differs "schedule $1" "${answer/s||/s|0|}" "$wanted"; then # a count of 0 may be left out
    change "schedule $1" scheduler jobs update http "$1" "${settings[@]}" --update-headers="$header"
  fi
}

# --- Functions --------------------------------------------------------------------------------
# A function's own address is known when it exists, and the settings of those that call themselves
# contain it. So these are created with the address Cloud Run promises (it leads there too), and
# deployed once more if Cloud Run then answers another one.

ensure_functions() {
  at_once look_at consumer reminder fanout
  source_digest >"$work/source"
  if [ "$mode" = apply ]; then
    at_once create_function reminder fanout
  fi
  at_once ensure_function consumer reminder fanout
  at_once run ensure_callers ensure_subscription ensure_schedules
}

ensure_callers() { function_bindings ensure_binding; }

# look_at FUNCTION: keeps `state|what is deployed|address|trigger` in the file function-NAME. A
# deployment that goes on, because its answer was lost or it is somebody else's, is waited for.
look_at() {
  local keys=state,labels.deployed,serviceConfig.uri,eventTrigger.trigger
  list "function-$1" functions describe "$1" --region="$region" \
    --format="value[separator=\"|\"]($keys)"
  if [ "$mode" = apply ] && listed "function-$1" DEPLOYING; then
    sleep 1
    look_at "$1"
  fi
}

url_of() {
  local url
  url=$(cut -d'|' -f3 "$work/function-$1")
  printf '%s' "${url:-https://$1-$number.$region.run.app}"
}

create_function() {
  [ -s "$work/function-$1" ] || ensure_function "$1"
}

# A deploy uploads and builds even if nothing changed, so a label remembers what was deployed.
ensure_function() {
  local flags deployed sign=change
  row functions "$1"
  set -- "${row[@]}"
  function_environment "$@" >"$scratch/environment.yaml"
  function_flags "$@"
  deployed=$(printf '%s\n' "${flags[@]}" | cat - "$scratch/environment.yaml" "$work/source" | digest)
  if listed "function-$1" "ACTIVE|$deployed"; then
    return
  fi
  [ -s "$work/function-$1" ] || sign=create
  "$sign" "function $1" functions deploy "$1" "${flags[@]}" --source="$here" \
    --env-vars-file="$scratch/environment.yaml" --update-labels="deployed=$deployed"
  look_at "$1"
}

# function_flags NAME FED_BY MEMORY CPU AT_ONCE INSTANCES BUDGET TIMEOUT LEASE: sets $flags. All of
# them every time: a deploy that leaves out --retry switches retries off. Open to all networks,
# because Cloud Tasks is not documented as internal traffic; only callers with a token get in.
function_flags() {
  flags=(
    --gen2 --region="$region" --runtime="$RUNTIME" --entry-point="$1" --memory="$3" --cpu="$4"
    --concurrency="$5" --min-instances=0 --max-instances="$6" --timeout="$8s"
    --service-account="$(email functions-runtime)" --ingress-settings=all
    --build-service-account="projects/$project/serviceAccounts/$(email functions-builder)"
    --no-allow-unauthenticated
  )
  if [ "$2" = tasks ]; then
    flags+=(--trigger-http)
  else
    flags+=(--trigger-topic="$2" --retry --trigger-service-account="$(email events-trigger)")
  fi
}

function_environment() {
  local name reminder fanout attempts seconds
  reminder=$(url_of reminder)
  setting GOOGLE_CLOUD_PROJECT "$project"
  setting LOCATION "$region"
  setting FIRESTORE_DATABASE "$DATABASE"
  setting REMINDER_URL "$reminder"
  setting REMINDER_AUDIENCE "$reminder"
  setting TASKS_SERVICE_ACCOUNT "$(email tasks-caller)"
  if [ "$1" = fanout ]; then
    fanout=$(url_of fanout)
    setting FANOUT_URL "$fanout"
    setting FANOUT_AUDIENCE "$fanout"
    setting SCHEDULER_SERVICE_ACCOUNT "$(email scheduler-caller)"
  fi
  setting HANDLER_BUDGET "$7"
  setting FUNCTION_TIMEOUT "$8"
  setting LEASE_SECONDS "$9"
  setting MAX_ATTEMPTS "$MAX_ATTEMPTS"
  redelivery "$1" "$2"
  setting REDELIVERY_ATTEMPTS "$attempts"
  setting REDELIVERY_SECONDS "$seconds"
  # Cloud Run verifies a caller's token and takes its signature off before the function sees it.
  setting PLATFORM_CHECKS_CALLERS "${PLATFORM_CHECKS_CALLERS:-yes}"
  setting THREADS "$5"
  setting LOG_EXECUTION_ID true # the platform sets it, and a list of variables would unset it
  for name in "${SETTINGS[@]}"; do
    [ -z "${!name-}" ] || setting "$name" "${!name}"
  done
}

# redelivery FUNCTION FED_BY: sets $attempts and $seconds, how often and how long at least the
# function is called again; it checks at its start that this outlasts its own attempts.
redelivery() {
  attempts=$DELIVERIES seconds=$RETENTION
  if [ "$2" = tasks ]; then
    attempts=1000000 seconds=$DEAD_RETENTION
    queues least_redelivery "$1"
  fi
}

# least_redelivery FUNCTION NAME CALLS RATE AT_ONCE ATTEMPTS FIRST LAST DOUBLINGS
least_redelivery() {
  local lasts
  [ "$1" = "$3" ] || return 0
  lasts=$(seconds_of "$6" "$7" "$8" "$9")
  attempts=$((attempts < $6 ? attempts : $6))
  seconds=$((seconds < lasts ? seconds : lasts))
}

# setting NAME VALUE: a line of YAML.
setting() {
  printf '%s: "%s"\n' "$1" "$(printf %s "$2" | sed 's/[\\"]/\\&/g')"
}

# What .gcloudignore lets through: names and contents.
source_digest() (
  cd "$here"
  find main.py requirements.txt common functions -type f ! -name '*.pyc' \
    ! -path 'common/cloud/memory/*' -exec "${sum[@]}" {} + |
    LC_ALL=C sort
)

digest() { "${sum[@]}" | cut -c1-40; }

# What Eventarc made for consumer. Its own values would lose an event after a day, and deliver it
# again while consumer still works on it.
ensure_subscription() {
  local trigger name is wanted dead="projects/$project/topics/$TOPIC-dead"
  trigger=$(cut -d'|' -f4 "$work/function-consumer")
  if [ -z "$trigger" ]; then
    change "subscription of consumer" # a plan, and consumer is not there yet
    return
  fi
  call eventarc triggers describe "$trigger" --format='value(transport.pubsub.subscription)' ||
    fail "trigger of consumer: $complaint"
  name=${answer##*/}
  call pubsub subscriptions describe "$name" --format="$SUBSCRIPTION" ||
    fail "subscription $name: $complaint"
  is=$answer
  wanted="$ACK_DEADLINE|${RETENTION}s|${FIRST_PAUSE}s|${LAST_PAUSE}s|$dead|$DELIVERIES"
  ensure_binding subscription "$name" roles/pubsub.subscriber pubsub
  if differs "subscription of consumer" "$is" "$wanted"; then
    change "subscription of consumer" pubsub subscriptions update "$name" \
      --ack-deadline="$ACK_DEADLINE" --message-retention-duration="${RETENTION}s" \
      --min-retry-delay="${FIRST_PAUSE}s" --max-retry-delay="${LAST_PAUSE}s" \
      --dead-letter-topic="$TOPIC-dead" --max-delivery-attempts="$DELIVERIES"
  fi
}

readonly SUBSCRIPTION='value[separator="|"](ackDeadlineSeconds,messageRetentionDuration,'\
'retryPolicy.minimumBackoff,retryPolicy.maximumBackoff,deadLetterPolicy.deadLetterTopic,'\
'deadLetterPolicy.maxDeliveryAttempts)'

# --- The numbers, checked before anything is deployed -----------------------------------------

readonly DAY=86400

check_numbers() {
  problems=
  functions check_function
  queues check_queue
  functions check_capacity
  schedules check_schedule
  check_deliveries
  [ -z "$problems" ] || exit 1
}

problem() {
  printf 'deploy.sh: %s\n' "$*" >&2
  problems=yes
}

check_function() {
  if [ "$7" -ge "$8" ] || [ "$8" -ge "$9" ]; then
    problem "$1 may work for $7 s, is stopped after $8 s and loses its claim after $9 s," \
      "but each must be less than the next"
  fi
  if [ "$2" != tasks ] && [ "$8" -gt 540 ]; then
    problem "$1 is stopped after $8 s, but a function fed by a topic must be after 540 s at most"
  fi
}

# check_queue NAME CALLS RATE AT_ONCE ATTEMPTS FIRST LAST DOUBLINGS
check_queue() {
  local lease=0 own=1 needed
  if [ "$2" != - ]; then
    row functions "$2"
    lease=${row[8]} own=$MAX_ATTEMPTS
  fi
  needed=$(($(attempts_in "$DAY" "$6" "$7" "$8") + $(attempts_in "$lease" "$6" "$7" "$8") + own))
  if [ "$5" -lt "$needed" ]; then
    problem "queue $1 makes $5 attempts, but a day's outage, a crash's lease of $lease s and our" \
      "own $own attempts take $needed"
  fi
}

# attempts_in SECONDS FIRST LAST DOUBLINGS: attempts until so much time has passed.
attempts_in() {
  local attempts=0 passed=0 pause
  while [ "$passed" -lt "$1" ]; do
    pause_after "$attempts" "$2" "$3" "$4"
    passed=$((passed + pause))
    attempts=$((attempts + 1))
  done
  printf '%s' "$attempts"
}

# seconds_of ATTEMPTS FIRST LAST DOUBLINGS: how long they last.
seconds_of() {
  local attempts=0 passed=0 pause
  while [ "$((attempts + 1))" -lt "$1" ]; do
    pause_after "$attempts" "$2" "$3" "$4"
    passed=$((passed + pause))
    attempts=$((attempts + 1))
  done
  printf '%s' "$passed"
}

# pause_after RETRIES FIRST LAST DOUBLINGS: sets $pause. It is doubled so many times, then grows
# evenly, up to the last.
pause_after() {
  if [ "$1" -le "$4" ]; then
    pause=$(($2 << $1))
  else
    pause=$((($2 << $4) * ($1 - $4 + 1)))
  fi
  pause=$((pause < $3 ? pause : $3))
}

# More requests at a time than a function admits would be answered 429, which slows a whole queue.
check_capacity() {
  local room=$(($5 * $6))
  dispatched=0
  queues add_dispatched "$1"
  if [ "$dispatched" -gt "$room" ]; then
    problem "queues send $1 $dispatched requests at once, but $6 instances of $5 take $room"
  fi
}

add_dispatched() {
  [ "$1" != "$3" ] || dispatched=$((dispatched + $5))
}

check_schedule() {
  if [ "$5" -gt 0 ] && [ "$6" -lt "$DAY" ]; then
    problem "schedule $1 is retried for $6 s, but must be for a day, $DAY s"
  fi
}

check_deliveries() {
  local needed
  row functions consumer
  needed=$(($(attempts_in "${row[8]}" "$FIRST_PAUSE" "$LAST_PAUSE" 9) + MAX_ATTEMPTS))
  if [ "$DELIVERIES" -lt "$needed" ]; then
    problem "Pub/Sub makes $DELIVERIES deliveries, but a crash's lease of ${row[8]} s and our own" \
      "$MAX_ATTEMPTS attempts take $needed"
  fi
  if [ "${row[7]}" -gt "$ACK_DEADLINE" ]; then
    problem "consumer may take ${row[7]} s, but Pub/Sub delivers again after $ACK_DEADLINE s"
  fi
  if [ "$RETENTION" -le "$DAY" ] || [ "$DEAD_RETENTION" -le "$DAY" ]; then
    problem "Pub/Sub keeps events for $RETENTION s and dead ones for $DEAD_RETENTION s," \
      "but must for more than a day, $DAY s"
  fi
}

# --- Commands ---------------------------------------------------------------------------------

plan_or_apply() {
  call projects describe "$project" --format='value(projectNumber)' ||
    fail "project $project: $complaint"
  number=$answer
  ensure_apis
  at_once run ensure_accounts ensure_firestore ensure_topics ensure_queues
  ensure_functions
}

destroy() {
  confirm
  list jobs scheduler jobs list --location="$region" --format='value(name.basename())'
  schedules remove_schedule
  list queues tasks queues list --location="$region" \
    --format='value[separator="|"](name.basename(),state)'
  queues remove_queue
  at_once remove_function consumer reminder fanout
  list subscriptions pubsub subscriptions list --format='value(name.basename())'
  if listed subscriptions "$TOPIC-dead"; then
    remove "subscription $TOPIC-dead" pubsub subscriptions delete "$TOPIC-dead"
  fi
  list topics pubsub topics list --format='value(name.basename())'
  topics remove_topic
  account_bindings remove_binding
  list accounts iam service-accounts list --format='value(email)'
  accounts remove_account
}

confirm() {
  local reply
  cat <<END
Removes from project $project, region $region: the functions, the schedules, the topics with every
event that was not delivered yet, the service accounts.
Keeps the database $DATABASE with all its documents, and the services enabled.
END
  if [ -n "$with_queues" ]; then
    printf 'Removes the queues too, with all that waits in them; their names are refused for a week.\n'
  else
    printf 'Keeps the queues, paused; what waits in them is kept for 31 days.\n'
  fi
  if [ -n "$yes" ]; then
    return
  fi
  [ -t 0 ] || fail "destroy asks before it removes anything; add --yes where nobody can answer"
  read -r -p "Type the project's id to go on: " reply
  [ "$reply" = "$project" ] || fail "nothing was removed"
}

remove_schedule() {
  if listed jobs "$1"; then
    remove "schedule $1" scheduler jobs delete "$1" --location="$region"
  fi
}

remove_function() {
  if found functions describe "$1" --region="$region" --format='value(name)'; then
    remove "function $1" functions delete "$1" --region="$region"
  fi
}

remove_topic() {
  if listed topics "$1"; then
    remove "topic $1" pubsub topics delete "$1"
  fi
}

# What an account may do goes with the thing it may do it on, and what is left with the account.
remove_binding() {
  local member
  [ "$1" = project ] || return 0
  member=serviceAccount:$(email "$4")
  policy_of "$1" "$2"
  if listed "policy-$1-$2" "$3|$member|"; then
    remove "$4 may ${3#roles/} on $1 $2" projects remove-iam-policy-binding "$2" \
      --member="$member" --role="$3" --condition=None
  fi
}

remove_account() {
  if listed accounts "$(email "$1")"; then
    remove "account $1" iam service-accounts delete "$(email "$1")"
  fi
}

remove_queue() {
  listed queues "$1" || return 0
  if [ -n "$with_queues" ]; then
    remove "queue $1" tasks queues delete "$1" --location="$region"
  elif [ "${answer##*|}" = RUNNING ]; then
    change "queue $1: paused" tasks queues pause "$1" --location="$region"
  fi
}

summary() {
  local count
  count=$(($(wc -l <"$work/changes")))
  if [ "$mode" = plan ]; then
    printf '%d to change\n' "$count"
  else
    printf '%d changed\n' "$count"
  fi
}

usage() {
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$here/deploy.sh"
}

# --- Arguments --------------------------------------------------------------------------------

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --project | --region)
        [ $# -gt 1 ] || fail "$1 needs a value"
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --project=* | --region=*) printf -v "$(expr "$1" : '--\([a-z]*\)=')" '%s' "${1#*=}" ;;
      --yes) yes=yes ;;
      --with-queues) with_queues=yes ;;
      *) fail "$mode does not take $1; see ./deploy.sh --help" ;;
    esac
    shift
  done
}

check_arguments() {
  local name
  [[ $project =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] ||
    fail "--project is '$project', but must be a project's id, like my-shop-123"
  [[ $region =~ ^[a-z]+-[a-z]+[0-9]+$ ]] ||
    fail "--region is '$region', but must be a region, like europe-west1"
  [[ $DATABASE =~ ^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$ ]] ||
    fail "FIRESTORE_DATABASE is '$DATABASE', but must be a database's id, like my-shop"
  [ "$mode" = destroy ] || [ -z "$yes$with_queues" ] ||
    fail "--yes and --with-queues are for destroy"
  for name in "${SETTINGS[@]}"; do
    [[ ! ${!name-} =~ [[:cntrl:]] ]] || fail "$name contains a line break or control character"
  done
  command -v gcloud >/dev/null || fail "gcloud is not on PATH: https://cloud.google.com/sdk/docs/install"
}

main() {
  here=$(cd "$(dirname "$0")" && pwd)
  mode=${1-}
  [ $# -eq 0 ] || shift
  case $mode in
    local) exec "$here/local/run.sh" "$@" ;;
    plan | apply | destroy) ;;
    '' | help | -h | --help) usage && return ;;
    *) fail "there is no command $mode; see ./deploy.sh --help" ;;
  esac
  project='' region='' yes='' with_queues='' database_is_new=''
  read_arguments "$@"
  check_arguments
  check_numbers
  sum=(sha256sum)
  command -v sha256sum >/dev/null || sum=(shasum -a 256)
  work=$(mktemp -d) scratch=$work
  trap 'rm -rf "$work"' EXIT
  : >"$work/changes"
  case $mode in
    destroy) destroy ;;
    *) plan_or_apply ;;
  esac
  summary
}

main "$@"
