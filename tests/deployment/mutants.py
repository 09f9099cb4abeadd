"""Mistakes in the deployment, and the tests that notice them."""

import deployment.__main__ as program
from deployment.gcloud import failures, waiting
from deployment.kinds import (
    accounts,
    bindings,
    callers,
    database,
    functions,
    metrics,
    network,
    organization,
    queues,
    quota,
    regions,
    repository,
    schedules,
    secrets,
    subscriptions,
    tooling,
    topics,
    variables,
)
from deployment.plan import deployment
from deployment.table import checks, environments, patience, source, target
from deployment.verbs import applying, proof
from tests.common.mutants import Noticed

OWNERSHIP = "kinds/test_ownership.py::"
DRIFT = "kinds/test_drift.py::"
NETWORK = "kinds/test_network.py::"
ORGANIZATION = "kinds/test_organization.py::"
FRESH = "gcloud/test_fresh_project.py::"
PROOF = "verbs/test_proof.py::"
BUNDLE = "table/test_bundle.py::"
NUMBERS = "table/test_bundle.py::test_numbers_that_do_not_fit_are_refused"
THEIRS = (f"{OWNERSHIP}test_a_thing_of_somebody_elses_is_refused_by_name_before_the_first_change",)
MUTANTS = [
    # What a function is told.
    Noticed(
        "every function is told how fast queues are, and is built again with them",
        variables, "_groups",
        "    if not it.target.is_scheduled(row.name):\n        return {}\n",
        "",
        (f"{DRIFT}test_an_edit_of_the_table_changes_one_thing",),
    ),
    # Networks and keys.
    Noticed(
        "a connector that is in the table no more stays",
        network, "flags",
        'return ["--clear-vpc-connector"] if found(service)["vpc-connector"] else []',
        "return []",
        (f"{NETWORK}test_what_the_row_says_is_compared_and_sent",),
    ),
    Noticed(
        "egress is forgotten where it is Google's choice",
        network, "wanted",
        'row.egress or EGRESS[0]} if row.connector',
        'row.egress} if row.egress',
        (f"{NETWORK}test_what_the_row_says_is_compared_and_sent",),
    ),
    Noticed(
        "functions get a key that their images do not have",
        repository, "plan",
        'if found.get("kmsKeyName", "") != key:',
        "if False:",
        (f"{NETWORK}test_a_key_is_not_exchanged_by_the_way",),
    ),
    Noticed(
        "a key of another region is found out by gcloud",
        environments, "_check_network",
        "if where and row.region and where != row.region:",
        "if False:",
        (f"{NETWORK}test_a_malformed_one_is_refused_by_its_path",),
    ),
    # What is uploaded.
    Noticed(
        "whatever lies about is uploaded",
        source, "problems",
        """if "/." in f"/{name}" or name.endswith(NO_SOURCE):""",
        "if False:",
        (f"{BUNDLE}test_what_is_no_source_is_told_before_it_is_uploaded",),
    ),
    # Patience.
    Noticed(
        "work may wait for longer than its task is kept",
        patience, "problems",
        "if not 0 <= seconds <= LONGEST:",
        "if seconds < 0:",
        (NUMBERS,),
    ),
    Noticed(
        "work may wait for longer than its message is kept",
        patience, "problems",
        "if row.keeps <= seconds:",
        "if False:",
        (NUMBERS,),
    ),
    # Databases.
    Noticed(
        "a database in Datastore mode is begun with",
        database, "plan",
        'if found.get("type", NATIVE) != NATIVE:',
        "if False:",
        (f"{OWNERSHIP}test_a_database_of_another_mode_is_refused_also_with_adopt",),
    ),
    # After a destroy.
    Noticed(
        "a database that was left is everybody's",
        accounts, "database_note",
        ' or notes(it, CALLS_TASKS).get(LEFT, "")',
        ' or ""',
        (f"{OWNERSHIP}test_after_a_destroy_everything_is_made_again_the_same_day",),
    ),
    Noticed(
        "a database that was left binds the environment for ever",
        accounts, "_check_database",
        'noted = notes(it, BUILDS).get(DATABASE, "").removesuffix(ADOPTED)',
        "noted = noted_database(it)",
        (f"{OWNERSHIP}test_after_a_destroy_another_database_may_be_used",),
    ),
    # What the organization says.
    Noticed(
        "a group of values is taken for a value",
        organization, "_reason",
        "if allowed and not has_groups",
        "if allowed",
        (f"{ORGANIZATION}test_a_policy_that_lets_us_is_no_refusal",),
    ),
    Noticed(
        "whoever may not read policies may not deploy",
        organization, "_policy",
        "    except Failed:\n        return {}\n",
        "    except ValueError:\n        return {}\n",
        (f"{ORGANIZATION}test_a_policy_that_may_not_be_read_stops_nothing",),
    ),
    # Whose it is.
    Noticed(
        "what nobody has marked is ours",
        deployment.Deployment, "may_change",
        "mark == self.target.mark or",
        "mark in (None, self.target.mark) or",
        THEIRS,
    ),
    Noticed(
        "what another environment has made is ours",
        deployment.Deployment, "may_change",
        "mark == self.target.mark or",
        "(mark and mark.bundle == self.target.mark.bundle) or",
        (f"{OWNERSHIP}test_another_environments_thing_says_whose_it_is",),
    ),
    Noticed(
        "adopting one thing adopts them all",
        deployment.Deployment, "may_change",
        'f"{kind}/{name}" in self.options.adopt',
        "self.options.adopt",
        (f"{OWNERSHIP}test_adopting_one_thing_adopts_no_other",),
    ),
    Noticed(
        "something is changed before a refusal is told",
        applying, "apply",
        "    refuse(first)\n",
        "",
        (f"{OWNERSHIP}test_adopting_one_thing_adopts_no_other", *THEIRS),
    ),
    Noticed(
        "a database that was there is taken",
        database, "plan",
        "if accounts.noted_database(it) != name and",
        "if False and",
        THEIRS,
    ),
    Noticed(
        "a database of somebody else's is deleted",
        database, "leave",
        ".endswith(accounts.ADOPTED):",
        '.endswith("?"):',
        (f"{OWNERSHIP}test_purge_of_an_adopted_database_removes_our_collections_alone",),
    ),
    Noticed(
        "two environments share a database",
        accounts, "_check_database",
        "if mark and other == database and",
        "if False and",
        (f"{OWNERSHIP}test_a_database_of_another_environment_is_refused_also_with_adopt",),
    ),
    Noticed(
        "an environment forgets its records by moving to another database",
        accounts, "_check_database",
        "if noted and noted != database:",
        "if False:",
        (f"{OWNERSHIP}test_an_environment_does_not_move",),
    ),
    Noticed(
        "an environment leaves everything behind by moving to another region",
        accounts, "_check_place",
        "if (mark.bundle, mark.environment) == (mine.bundle, mine.environment):",
        "if False:",
        (f"{OWNERSHIP}test_an_environment_does_not_move",),
    ),
    Noticed(
        "a noted queue is ours whoever made it",
        queues, "ours",
        "if yes]",
        "]",
        (f"{OWNERSHIP}test_a_queue_that_others_made_anew_under_a_noted_name_is_not_removed",),
    ),
    Noticed(
        "destroy removes topics of others",
        topics, "_ours",
        "== it.target.mark",
        "!= 0",
        (f"{OWNERSHIP}test_destroy_removes_what_is_ours_and_no_more",),
    ),
    Noticed(
        "destroy forgets whose the queues are that it keeps",
        accounts, "leave",
        "if email not in kept",
        "",
        (f"{OWNERSHIP}test_destroy_removes_what_is_ours_and_no_more",),
    ),
    Noticed(
        "destroy keeps what waits in a queue",
        queues, "_stopped",
        'if waiting != "0":',
        "if False:",
        (f"{OWNERSHIP}test_after_a_destroy_everything_is_made_again_the_same_day",),
    ),
    # Rows that are gone.
    Noticed(
        "a queue goes with what waits in it",
        queues, "_removed",
        'if waiting == "0" or',
        "if True or",
        (f"{DRIFT}test_a_removed_row_with_a_backlog_is_paused_kept_and_said",),
    ),
    Noticed(
        "a queue of no row goes on",
        queues, "_removed",
        'if it.world.queues[name].get("state", RUNNING) == RUNNING:',
        "if False:",
        (f"{DRIFT}test_a_removed_row_with_a_backlog_is_paused_kept_and_said",),
    ),
    Noticed(
        "an empty queue of no row stays",
        queues, "_removed",
        'if waiting == "0" or',
        "if",
        (f"{DRIFT}test_a_removed_row_goes_when_it_is_empty",),
    ),
    Noticed(
        "the slow lane goes with what waits in it",
        subscriptions, "_removed",
        'if f"subscription/{name}" in it.options.remove:',
        "if True:",
        (f"{DRIFT}test_the_slow_lanes_row_is_removed_only_when_that_is_said",),
    ),
    # Drift, and what is not mended by the way.
    Noticed(
        "what was paused is set going by the next apply",
        queues, "_row",
        "and not accounts.is_paused(it)",
        "",
        (f"{DRIFT}test_what_is_paused_stays_so_until_it_is_resumed",),
    ),
    Noticed(
        "roles are taken away without being told so",
        bindings, "plan",
        "if ROLES in it.options.mend:",
        "if True:",
        (f"{DRIFT}test_a_wider_role_is_told_and_taken_away_only_when_that_is_said",),
    ),
    Noticed(
        "a role of somebody else's is taken away",
        bindings, "_extra",
        "members & mine",
        "members",
        (f"{DRIFT}test_what_others_may_do_is_not_looked_at",),
    ),
    Noticed(
        "a function stays open to everybody",
        callers, "_plan",
        "if member in members",
        "if False",
        (f"{DRIFT}test_a_function_that_is_open_to_everybody_is_closed",),
    ),
    Noticed(
        "a function that asks nobody who calls stays so",
        callers, "_check_off",
        '!= "true"',
        '!= "yes"',
        (f"{DRIFT}test_a_function_that_asks_nobody_who_calls_does_so_again",),
    ),
    Noticed(
        "a foreign header of a schedule stays",
        schedules, "_change",
        'if foreign else ()',
        'if False else ()',
        (f"{DRIFT}test_a_header_that_somebody_added_is_taken_away",),
    ),
    Noticed(
        "who sends the messages is forgotten by the way",
        functions, "_check_provider",
        "if before.get(name) and before[name] != after.get(name):",
        "if after.get(name) and before.get(name) and before[name] != after.get(name):",
        (f"{DRIFT}test_a_provider_is_not_forgotten_by_the_way",),
    ),
    Noticed(
        "every deployment makes a new trigger, without what waits in the old one",
        functions, "_trigger_change",
        'if names <= {"retries"}:',
        "if False:",
        (f"{DRIFT}test_a_redeploy_does_not_send_the_trigger",
         f"{DRIFT}test_retries_are_mended_without_a_new_trigger"),
    ),
    Noticed(
        "a build is not told how to make its bytecode",
        functions, "_wanted",
        "_pairs(BUILD)",
        '""',
        ("kinds/test_functions.py::test_each_build_is_told_how_to_make_its_bytecode",),
    ),
    Noticed(
        "functions read whatever value of a secret is the newest",
        functions, "_secrets",
        "{secrets.version(it, name)}",
        "latest",
        ("test_main.py::test_a_secret_is_kept_and_read_in_its_version",),
    ),
    Noticed(
        "a secret without a value is deployed",
        secrets, "_plan",
        "if not version(it, setting):",
        "if False:",
        ("test_main.py::test_a_secret_is_kept_and_read_in_its_version",),
    ),
    # The first time.
    Noticed(
        "a region without a service is found out on the way",
        regions, "plan",
        "if there and it.target.region not in by_id(there):",
        "if False:",
        (f"{PROOF}test_a_region_without_a_service_is_refused_before_the_first_resource",),
    ),
    Noticed(
        "all of the quota is asked for",
        quota, "plan",
        "given * checks.SHARE",
        "given",
        (f"{PROOF}test_a_region_with_too_little_cpu_is_refused_before_the_first_resource",),
    ),
    Noticed(
        "the quota of another region counts",
        quota, "_given",
        'if it.target.region in info.get("applicableLocations", ())',
        "if True",
        (f"{PROOF}test_a_quota_that_is_just_enough_is_enough",),
    ),
    Noticed(
        "whoever may not read the quota may not deploy",
        quota, "_given",
        "    except Failed:\n        return None\n",
        "    except ValueError:\n        return None\n",
        (f"{PROOF}test_a_quota_that_gcloud_does_not_say_is_that_of_the_table",),
    ),
    Noticed(
        "an old gcloud begins, and fails on the way",
        tooling, "plan",
        "< OLDEST",
        "< 0",
        (f"{PROOF}test_an_old_gcloud_is_refused_before_the_first_change",),
    ),
    Noticed(
        "a real refusal is waited for",
        waiting.Patience, "again",
        "if start is None or",
        "if start is not None and",
        (f"{FRESH}test_the_same_error_is_a_refusal_where_nothing_was_just_changed",),
    ),
    Noticed(
        "a run that goes on after another one gives up at once",
        waiting.Patience, "resumes",
        "if age < FRESH:",
        "if False:",
        (f"{FRESH}test_a_run_that_goes_on_after_an_interrupted_one_waits_too",),
    ),
    Noticed(
        "the functions API's numbers are not understood",
        failures, "_status",
        "NUMBERS.get(int(found[1]), found[1])",
        "found[1]",
        (f"{FRESH}test_the_status_of_an_error_is_read",),
    ),
    Noticed(
        "a lost answer is a failure",
        applying, "_converge",
        "if change.key in keys:",
        "if True:",
        (f"{FRESH}test_a_create_whose_answer_was_lost_counts_as_done",),
    ),
    # The proof.
    Noticed(
        "what is refused at first is refused for good",
        proof, "prove",
        "if answers[probe.what] != ARRIVED]",
        "if answers[probe.what] is None]",
        (f"{PROOF}test_a_refusal_that_passes_in_time_is_none",),
    ),
    Noticed(
        "a refused tick counts as one that arrived",
        proof, "_tick",
        'if not status.get("code"):',
        "if True:",
        (f"{PROOF}test_a_refusal_is_told_with_its_words",),
    ),
    Noticed(
        "what is not seen counts as seen",
        program, "_prove",
        "if found.refused or found.unseen else",
        "if found.refused else",
        ("test_main.py::test_what_has_not_arrived_is_named_and_ends_with_1",),
    ),
    Noticed(
        "something is sent through what is paused",
        proof, "prove",
        "if accounts.is_paused(it):",
        "if False:",
        (f"{PROOF}test_nothing_is_sent_through_what_is_paused",),
    ),
    # The table.
    Noticed(
        "whoever deploys lends the functions their environment",
        target.Target, "settings",
        "if self.environment.is_local:",
        "if True:",
        ("verbs/test_applying.py::"
         "test_the_callers_environment_reaches_no_function_but_the_local_ones",),
    ),
    Noticed(
        "an environment does not see its neighbours",
        checks, "asked",
        "sum(map(_cpu_of, others))",
        "0",
        ("table/test_bundle.py::test_the_environments_of_one_region_share_its_quota",),
    ),
    Noticed(
        "a queue sends more than a function takes",
        checks, "_room",
        "if sent > room:",
        "if False:",
        (NUMBERS,),
    ),
    Noticed(
        "a queue gives up before the bundle does",
        checks, "_queue",
        "if row.attempts < needed:",
        "if row.attempts < own:",
        (NUMBERS,),
    ),
    Noticed(
        "a claim ends while its function works",
        checks, "_function",
        "row.budget < row.timeout < row.lease",
        "row.budget < row.timeout",
        (NUMBERS,),
    ),
    Noticed(
        "a password is written into the table",
        checks, "_settings",
        'if "@" in',
        'if "@@" in',
        (NUMBERS,),
    ),
    Noticed(
        "two environments of a project have the same names",
        environments, "check",
        "    yield f\"{path}.prefix:",
        "    f\"{path}.prefix:",
        ("table/test_bundle.py::"
         "test_a_second_environment_of_a_project_has_a_database_and_a_prefix_of_its_own",),
    ),
    Noticed(
        "an alert finds what others print",
        metrics, "query",
        "resource.labels.service_name=({services})",
        "severity>=DEFAULT",
        ("kinds/test_alerts.py::test_what_other_services_of_the_project_print_is_not_found",),
    ),
]  # fmt: skip
