"""Mistakes in calls to others, and the tests that notice them."""

from common.outside import answers, http, smtp
from tests.common.mutants import Noticed

PASSING = "test_answers.py::test_an_answer_that_may_pass_is_worth_another_try"
REFUSALS = "test_answers.py::test_a_refusal_is_permanent_and_says_why"
MAIL = "test_answers.py::test_a_mail_servers_5xx_is_for_good_and_nothing_else_is"

MUTANTS = [
    Noticed(
        "a busy key is a refusal",
        answers, "check_http",
        "status in RETRIED",
        "status in RETRIED - {409}",
        (PASSING,),
    ),
    Noticed(
        "too many requests is a refusal",
        answers, "check_http",
        "status in RETRIED or ",
        "",
        (PASSING,),
    ),
    Noticed(
        "a server's error is a refusal",
        answers, "check_http",
        " or status >= 500",
        "",
        (PASSING,),
    ),
    Noticed(
        "every 4xx is tried again",
        answers, "check_http",
        "status in RETRIED or status >= 500",
        "status >= 400",
        (REFUSALS,),
    ),
    Noticed(
        "a redirect is a yes",
        answers, "check_http",
        "200 <= status < 300",
        "200 <= status < 400",
        ("test_answers.py::test_a_redirect_is_a_refusal",
         "test_http.py::test_a_redirect_is_not_followed"),
    ),
    Noticed(
        "only 200 is a yes",
        answers, "check_http",
        "200 <= status < 300",
        "status == 200",
        ("test_answers.py::test_any_2xx_is_a_yes",),
    ),
    Noticed(
        "a refusal of any length",
        answers, "check_http",
        "start[:SHOWN]",
        "start",
        ("test_answers.py::test_a_long_refusal_is_cut",),
    ),
    Noticed(
        "a mail server's 4xx is for good",
        answers, "smtp_error",
        "500 <= code < 600",
        "400 <= code < 600",
        (MAIL,),
    ),
    Noticed(
        "a mail server's 5xx is tried again",
        answers, "smtp_error",
        "500 <= code < 600",
        "550 < code < 600",
        (MAIL,),
    ),
    Noticed(
        "redirects are followed",
        http, "post_json",
        "            allow_redirects=False,\n",
        "",
        ("test_http.py::test_a_redirect_is_not_followed",),
    ),
    Noticed(
        "the key is not sent",
        http, "post_json",
        '{**(headers or {}), "Idempotency-Key": header_key(key)}',
        "{**(headers or {})}",
        ("test_http.py::test_the_key_is_the_idempotency_key",),
    ),
    Noticed(
        "a header of the caller's takes the place of the key",
        http, "post_json",
        '{**(headers or {}), "Idempotency-Key": header_key(key)}',
        '{"Idempotency-Key": header_key(key), **(headers or {})}',
        ("test_http.py::test_no_header_of_the_callers_takes_the_place_of_the_key",),
    ),
    Noticed(
        "the key is sent as it is",
        http, "post_json",
        "header_key(key)",
        "key",
        ("test_http.py::test_a_key_that_no_header_can_carry_is_hashed",),
    ),
    Noticed(
        "a long key is cut",
        http, "header_key",
        "{1,200}",
        "{1,3000}",
        ("test_http.py::test_a_key_that_no_header_can_carry_is_hashed",),
    ),
    Noticed(
        "every key is hashed",
        http, "header_key",
        'if re.fullmatch(r"[!-~]{1,200}", key):',
        "if False:",
        ("test_http.py::test_a_short_key_of_ascii_stays_readable",
         "test_http.py::test_the_key_is_the_idempotency_key"),
    ),
    Noticed(
        "whoever is silent holds the thread",
        http, "post_json",
        "timeout=(min(CONNECT_TIMEOUT, timeout), timeout)",
        "timeout=(min(CONNECT_TIMEOUT, timeout), 2.0)",
        ("test_http.py::test_connecting_takes_no_longer_than_the_call",),
    ),
    Noticed(
        "an error of the network is a refusal",
        http, "post_json",
        "raise TransientError(",
        "raise answers.PermanentError(",
        ("test_http.py::test_whoever_is_down_is_worth_another_try",
         "test_http.py::test_a_connection_closed_without_an_answer_is_worth_another_try"),
    ),
    Noticed(
        "a yes whose body breaks off is no yes",
        http, "_start",
        'return ""  # the status has been given, and it decides',
        "raise",
        ("test_http.py::test_a_yes_whose_body_breaks_off_is_a_yes",),
    ),
    Noticed(
        "proxies and passwords of the environment",
        http, "_session",
        "session.trust_env = False",
        "http_unused = False",
        ("test_http.py::test_no_proxy_has_a_say",
         "test_http.py::test_no_password_is_taken_from_elsewhere"),
    ),
    Noticed(
        "a connection for each call",
        http, "_session",
        "        _thread.session = session\n",
        "",
        ("test_http.py::test_a_thread_keeps_its_connection",),
    ),
    Noticed(
        "an error of the goodbye is raised",
        smtp, "_connected",
        "with contextlib.suppress(smtplib.SMTPException, OSError):",
        "if True:",
        ("test_smtp.py::test_what_follows_the_servers_yes_does_not_matter",),
    ),
    Noticed(
        "STARTTLS trusts anybody",
        smtp, "_connected",
        "context=ssl.create_default_context()",
        "context=ssl._create_unverified_context()",
        ("test_smtp.py::test_starttls_with_a_foreign_certificate_gets_no_password",),
    ),
    Noticed(
        "TLS trusts anybody",
        smtp, "_open",
        "context = ssl.create_default_context()",
        "context = ssl._create_unverified_context()",
        ("test_smtp.py::test_a_server_with_a_foreign_certificate_gets_nothing",),
    ),
    Noticed(
        "STARTTLS where it is offered",
        smtp, "_connected",
        "if server.starttls:",
        'if server.starttls and connection.ehlo()[0] == 250 and connection.has_extn("starttls"):',
        ("test_smtp.py::test_no_password_is_sent_to_a_server_without_the_encryption_asked_for",),
    ),
    Noticed(
        "the password goes before the encryption",
        smtp, "_connected",
        "        if server.starttls:\n"
        "            connection.starttls(context=ssl.create_default_context())\n"
        "        if server.user is not None:\n"
        '            connection.login(server.user, server.password or "")\n',
        "        if server.user is not None:\n"
        '            connection.login(server.user, server.password or "")\n'
        "        if server.starttls:\n"
        "            connection.starttls(context=ssl.create_default_context())\n",
        ("test_smtp.py::test_starttls_encrypts_before_the_password",),
    ),
    Noticed(
        "the recipient is the one of the header",
        smtp, "send",
        "connection.send_message(mail, sender, [recipient])",
        "connection.send_message(mail, sender)",
        ("test_smtp.py::test_the_envelope_names_the_recipient_and_the_mail_arrives_whole",),
    ),
    Noticed(
        "a refused recipient is tried again",
        smtp, "send",
        "raise smtp_error(code, reason) from error",
        "raise TransientError(str(reason)) from error",
        ("test_smtp.py::test_4xx_and_silence_pass_and_5xx_is_final",
         "test_smtp.py::test_a_refusal_says_what_the_server_said"),
    ),
    Noticed(
        "a mail server that is down is a refusal",
        smtp, "send",
        "except (smtplib.SMTPException, OSError) as error:\n        raise TransientError(",
        "except (smtplib.SMTPException, OSError) as error:\n        raise PermanentError(",
        ("test_smtp.py::test_a_mail_server_that_is_down_is_worth_another_try",),
    ),
    Noticed(
        "what the server cannot take is tried again",
        smtp, "send",
        "except smtplib.SMTPNotSupportedError as error:\n        raise PermanentError(",
        "except smtplib.SMTPNotSupportedError as error:\n        raise TransientError(",
        ("test_smtp.py::test_an_international_address_needs_a_server_that_knows_them",),
    ),
]  # fmt: skip
