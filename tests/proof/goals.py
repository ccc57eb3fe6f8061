"""The goals under faults and attack: where each is tested, and to which number.

`test_goals.py` holds this to what there is. A number says what the tests reach, in
`make test` and, after the arrow, in `make prove`, which grows with N.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What is promised, the tests, the parts of the long proof, and the number."""

    what: str
    tests: tuple[str, ...]
    number: str
    parts: tuple[str, ...] = ()


EXCLUDED = {
    "R12": "there is no released version whose records could be read",
    "T5": "the queue keeps its tasks without limit; a sweeper is not promised",
    "S6": "a measurement of timing is noise here; the code compares in constant time",
    "S11": "records are kept for 31 days and read by apps; erasure is not promised",
    "S12": "who may call is IAM's, or one token's: there are no tenants",
    "S15": "one tenant; what a platform takes is its own limit",
    "S16": "limits per number are the app's",
}

DEATH = "tests/proof/test_death.py"
DOORS = "tests/proof/test_doors.py"
ATTACK = "tests/proof/test_attack.py"
TIMERS = "tests/contracts/timers_contract.py"
EVENTS = "tests/contracts/test_embedded_events.py"
DEPLOYED = "tests/google_cloud/test_deployed.py"
FROZEN = "tests/google_cloud/test_frozen.py"

GOALS: dict[str, Goal] = {
    "R1": Goal(
        "random faults, and then a calm in which everything ends",
        ("tests/simulation/test_simulation.py::test_the_promises_hold",),
        "about 2,700 lives, not 20,000, for a minute on two cores -> N, all of it",
        ("simulate",),
    ),
    "R2": Goal(
        "every single crash",
        ("tests/proof/test_crash_points.py::test_every_crash_point",),
        "all of 22 stories, at least 400; a tenth of them on SQLite as well -> all",
        ("crash",),
    ),
    "R3": Goal(
        "every pair of crashes while falling back",
        ("tests/proof/test_crash_points.py::test_pairs_of_crash_points",),
        "a tenth -> all: each moment, with each later one of the life that goes on"
        " after it; 8,507 when last counted",
        ("crash",),
    ),
    "R4": Goal(
        "receipts in every order",
        (
            "tests/proof/test_orders.py::test_every_order_of_three_ends_in_the_same_record",
            "tests/domain/test_lifecycle.py::test_the_order_of_receipts_does_not_matter",
        ),
        "three and six of eight receipts, one of them twice -> four, and more of six;"
        " what arrived is compared with the receipts, the rest with every other order",
        ("order",),
    ),
    "R5": Goal(
        "what RBM's answer to DELETE may mean",
        (
            "tests/stories/test_policies.py::test_strict_accepts_only_the_proof_its_contract_offers",
            "tests/simulation/test_simulation.py::test_the_promises_hold",
        ),
        "the share of R1's lives that is delivered after its DELETE, by policy: printed"
        " by the long proof, and past 1,000 from N=200000",
        ("simulate",),
    ),
    "R6": Goal(
        "an SMS whose answer was lost",
        (
            "tests/domain/test_rules.py::test_a_receipt_claims_the_lost_attempt",
            "tests/stories/test_reserved.py::test_strict_never_asks_twice",
        ),
        "the share of R1's lives that lose one, printed too; STRICT asks once, the"
        " others twice",
        ("simulate",),
    ),
    "R7": Goal(
        "a callback before our own write",
        ("tests/proof/test_crash_points.py::test_every_crash_point",),
        "each crash between request and write; the tag, not an id, names the message",
        ("crash", "simulate"),
    ),
    "R8": Goal(
        "the mark of an event and its effect are one write",
        (
            "tests/usecases/test_crashes.py::test_a_crash_at_any_call_is_mended",
            "tests/usecases/test_listen.py::test_a_crash_at_any_call_changes_nothing_in_the_end",
        ),
        "a crash at every call; for eight days in S5",
        ("crash", "at_the_doors"),
    ),
    "R9": Goal(
        "one contract for every store",
        (
            "tests/contracts/messages_contract.py::test_no_update_is_lost",
            "tests/contracts/recipients_contract.py::test_of_many_first_words_one_wins",
        ),
        "SQLite, Firestore and the simulation's memory",
    ),
    "R10": Goal(
        "one contract for every queue",
        (
            "tests/proof/test_backlog.py::test_a_backlog_outlives_refusals_and_a_restart",
            f"{TIMERS}::test_failing_rings_starve_no_other",
            f"{TIMERS}::test_a_kill_forgets_no_timer",
            "tests/contracts/events_contract.py::test_many_publishers_lose_nothing",
            f"{EVENTS}::test_an_event_nobody_takes_is_given_up",
        ),
        "400 by 20 threads, a tenth refused once, one restart -> 4,000 events and 4,000"
        " timers from N=20000; how soon the first comes after it is not timed",
        ("queue",),
    ),
    "R11": Goal(
        "an actor that comes back late",
        (
            "tests/usecases/test_races.py::test_a_stale_worker_overwrites_nothing",
            "tests/proof/test_safeguards.py::test_without_a_safeguard_a_promise_is_broken",
        ),
        "a worker stalls, for up to five minutes, in one of 160 of R1's lives: about 17"
        " -> N / 160, so 10,000 from N=1600000; one is slow, for seconds, in a quarter;"
        " the version that SQLite compares is taken away, and missed",
        ("simulate", "take_away"),
    ),
    "R13": Goal(
        "any sequence of signals",
        ("tests/proof/test_table.py::test_the_table_has_no_hole",),
        "400 states of each configuration, the nearest first -> N / 10",
        ("explored",),
    ),
    "T1": Goal(
        "none early, none missed, none twice",
        (
            "tests/proof/test_clockwork.py::test_each_of_many_timers_rings_once_and_none_early",
            f"{TIMERS}::test_it_never_rings_early",
        ),
        "200 at once and 200 in a row -> 2,000 and 4,000; how late is only printed",
        ("tick",),
    ),
    "T2": Goal(
        "far timers starve none",
        (
            "tests/proof/test_clockwork.py::test_each_of_many_timers_rings_once_and_none_early",
            f"{TIMERS}::test_far_timers_starve_no_due_one",
        ),
        "20,000 far ones -> N * 10, up to 1,000,000",
        ("tick",),
    ),
    "T3": Goal(
        "clocks that jump",
        (f"{DEATH}::test_a_clock_that_jumps",),
        "an hour ahead and two back while 100 messages are sent, not 5,000, and hours"
        " each way while dead: none lost and none early, but late for as long as a"
        " clock was set back; in a fifth of R1's lives each worker's clock is off in"
        " its own way, by up to half a second, and never jumps",
        ("simulate",),
    ),
    "T4": Goal(
        "nobody there for the whole deadline",
        ("tests/proof/test_clockwork.py::test_what_was_slept_through_rings_once",),
        "200 timers -> 4,000, two days; nothing expires instead: an SMS that is due"
        " leaves, however late, and says how late",
        ("tick",),
    ),
    "T6": Goal(
        "rings that come twice, late and out of order",
        (
            f"{DEPLOYED}::test_tasks_that_ring_twice_or_whose_answer_is_lost",
            "tests/simulation/test_simulation.py::test_the_promises_hold",
        ),
        "late and doubled rings in most of R1's lives",
        ("simulate",),
    ),
    "T7": Goal(
        "the oldest due, not fired, is the sign of life",
        (
            "tests/console/test_console_api.py::test_a_timer_that_nobody_answers_is_told_of",
            "tests/contracts/test_embedded_dispatcher.py::test_a_ring_that_is_refused_stays_the_oldest",
            f"{DEPLOYED}::test_the_oldest_timer_that_nobody_answers_is_told_of",
            "tests/test_logs.py::test_a_late_ring_says_how_late",
        ),
        "61 s when every ring is blocked for 61 s, asked of the clock of one machine or"
        " of the emulators; on Google Cloud an alert reads the rings that come, and no"
        " metric of Cloud Tasks tells of those that do not",
    ),
    "C1": Goal(
        "SIGKILL under load, a copy of what it left checked each time",
        (f"{DEATH}::test_killed_again_and_again",),
        "10 kills -> N / 200: 100, and 1,000 from N=200000; half of the messages fall"
        " due meanwhile. Some 20 are accepted for each kill, 20,000 in all and not"
        " 100,000: beside its simulated carriers two cores take no more, and each is"
        " looked up in its phone afterwards. Moments by chance, since R2 has every"
        " chosen one; the slowest start is only printed",
        ("kill",),
    ),
    "C2": Goal(
        "flushed before it is answered",
        (
            "tests/proof/test_power.py::test_what_was_answered_survives_a_power_loss",
            "tests/contracts/test_embedded_database.py::test_nobody_in_a_group_is_answered_before_the_commit",
        ),
        "100 losses -> N / 50, up to 1,000",
        ("lose_power",),
    ),
    "C3": Goal(
        "full disks, locked files and lost permissions",
        (
            f"{DEATH}::test_a_full_disk_is_refused_and_survived",
            f"{DEATH}::test_a_locked_file_is_waited_out",
            f"{DEATH}::test_a_permission_lost_while_it_runs",
            f"{DEATH}::test_a_state_that_may_not_be_written",
            f"{DEATH}::test_a_truncated_file_is_no_success",
        ),
        "each once. A full or locked disk is 503 with Retry-After, and the next request"
        " after it is taken, without a restart; a lock is held for as long as the"
        " answer takes, not for 30 s. What is open stays open, so a permission lost is"
        " no 503, but a sentence at the next start",
    ),
    "C4": Goal(
        "the platform stops and goes on",
        (
            f"{FROZEN}::test_emulators_that_stop_and_go_on_under_load",
            f"{DEPLOYED}::test_a_store_that_answers_nobody_costs_nothing_but_time",
            f"{DEPLOYED}::test_a_bus_that_answers_nobody_loses_no_receipt",
            f"{DEPLOYED}::test_connections_that_break_under_load",
        ),
        "each emulator stopped three times under load for a third of a second, once"
        " until a caller gave up, and cut off over and over; not 60 s, which is only"
        " more of the same 503",
    ),
    "C5": Goal(
        "carriers that hang, drip, fail, throttle and hang up",
        ("tests/proof/test_outage.py::test_ill_carriers_cost_time_and_nothing_else",),
        "ten seconds -> N / 1000 s, up to ten minutes; attempts and Retry-After are"
        " counted; that waits differ, and within which bounds, is tested where they are"
        " made",
        ("fall_ill",),
    ),
    "C6": Goal(
        "SIGTERM under load",
        (f"{DEATH}::test_told_to_end_under_load",),
        "once -> N / 10000 times, up to 100: ended with 0 within 10 s; whatever was not"
        " answered is sent again, and judged as in C1",
        ("end",),
    ),
    "C7": Goal(
        "nothing is left for after the answer",
        (
            f"{FROZEN}::test_nothing_is_left_for_after_the_answer",
            f"{DEPLOYED}::test_a_function_that_was_missing_for_a_while",
        ),
        "each of the six stopped right after an answer, once, not 500 times: a process"
        " of its own has to be started for each",
    ),
    "C8": Goal(
        "dead letters take effect once",
        ("tests/proof/test_letters.py::test_dead_letters_are_replayed_once",),
        "24 letters -> N * 3 / 320, up to 1,000; given up after 12 tries, half an hour",
        ("replay",),
    ),
    "C9": Goal(
        "a subscriber is down, slow or wrong",
        (
            "tests/proof/test_letters.py::test_dead_letters_are_replayed_once",
            "tests/contracts/events_contract.py::test_a_failing_subscriber_delays_no_other",
            "tests/contracts/events_contract.py::test_a_slow_subscriber_delays_no_other",
        ),
        "an hour; after half of it events are dead letters, and their replay delivers",
        ("replay",),
    ),
    "C10": Goal(
        "a soak",
        (f"{DEATH}::test_nothing_is_held_for_ever",),
        "two seconds of load -> N / 2000 s: 10, and half an hour from N=3600000. In the"
        " last two fifths memory grows by 5 % and files and threads by 16 at most: two"
        " seconds miss what keeps 50 kB of each message, ten 12 kB. Four apps send, not"
        " half of what it could bear, and no time of answers is judged",
        ("soak",),
    ),
    "S1": Goal(
        "forgeries",
        (
            f"{ATTACK}::test_nothing_forged_is_believed",
            "tests/entrypoints/test_api_token.py::test_no_forged_form_of_the_token_is_believed",
        ),
        "at least 60 at each webhook, and at `/v1` and each trigger of a machine with a"
        " token; on Google Cloud IAM alone stands before those four, and S17 holds its"
        " grants",
        ("attacked", "take_away"),
    ),
    "S2": Goal(
        "each bit turned, bytes cut, added and exchanged",
        (
            f"{ATTACK}::test_no_bit_may_be_turned",
            f"{ATTACK}::test_no_byte_may_be_changed",
            f"{ATTACK}::test_no_bit_of_the_credentials_may_be_turned",
        ),
        "5,504 bits, all that a payload of 600 bytes and its signature have, and 5,000"
        " cuts, additions, exchanges and recodings -> N / 4, up to 100,000",
        ("changed",),
    ),
    "S3": Goal(
        "malformed input at every door",
        (
            f"{ATTACK}::test_nothing_breaks_what_is_thrown_at",
            f"{DOORS}::test_rudeness_is_refused",
            "tests/documents/test_fuzz.py::test_fuzz",
        ),
        "100 mutants a door, new ones each time -> N / 20, up to 100,000: 2,000 would"
        " take `make test` a minute more; a refused one is no event; every rude body"
        " also signed; the slowest answer is only printed; memory is measured by C10",
        ("attacked", "at_the_doors"),
    ),
    "S4": Goal(
        "a bad entry in a good list",
        (f"{DOORS}::test_a_bad_entry_spoils_no_list",),
        "80 lists -> N / 100, up to 1,000; 20 kinds at four places: the bad entry is"
        " kept as an event, old news or a dead letter, as many times as it came",
        ("at_the_doors",),
    ),
    "S5": Goal(
        "captured callbacks, again",
        (
            f"{DOORS}::test_what_was_captured_has_no_second_effect",
            f"{ATTACK}::test_a_replay_is_old_news",
        ),
        "15 lives, about 30 callbacks -> N / 400, the last 1,000 callbacks: each sent"
        " three times over eight days, for another agent, and at the other webhook",
        ("at_the_doors",),
    ),
    "S7": Goal(
        "no secret, no start",
        (
            "tests/test_settings.py::test_everything_that_is_missing_is_named_at_once",
            "tests/test_settings.py::test_what_is_wrong_is_named",
            f"{DEPLOYED}::test_a_missing_setting_stops_the_start",
            "tests/providers/test_bandwidth_wire.py::test_without_a_credential_nobody_passes",
        ),
        "missing, empty, blank and nothing but commas; how long a secret is, is the"
        " carrier's",
    ),
    "S8": Goal(
        "a secret is changed",
        (
            f"{DOORS}::test_a_secret_is_changed_without_a_gap",
            "tests/test_settings.py::test_secrets_may_be_two_while_one_is_rotated",
        ),
        "120 requests -> N / 4, up to 10,000",
        ("at_the_doors",),
    ),
    "S9": Goal(
        "nobody fetches what a caller names",
        (
            f"{ATTACK}::test_nobody_fetches_what_a_caller_names",
            "tests/entrypoints/test_passage.py::test_no_redirect_is_followed",
            "tests/contracts/test_embedded_dispatcher.py::test_no_redirection_takes_the_token_elsewhere",
        ),
        "no form of a URL is fetched at all, so there are no 40 to try",
    ),
    "S10": Goal(
        "canaries",
        (
            "tests/proof/test_canaries.py::test_no_canary_is_heard",
            "tests/stories/test_quiet.py::test_the_log_tells_decisions_and_nobodys_business",
            f"{DEPLOYED}::test_the_logs_are_quiet_about_people",
        ),
        "24 lives, some refused by the carriers, some in a crash -> N / 160, up to"
        " 10,000, under eight faults; in the log at every level, errors, reasons of"
        " dead letters, traces handed on, names of threads and processes; the record,"
        " events and inbox hold them; no spans or metrics of our own are exported",
        ("listened",),
    ),
    "S13": Goal(
        "one id is one message",
        (
            f"{DOORS}::test_one_id_is_one_message",
            "tests/stories/test_second_thoughts.py::test_another_body_is_refused",
        ),
        "100 at once -> 1,000; the same but for `delivery`, which tells what is now",
        ("at_the_doors",),
    ),
    "S14": Goal(
        "a text is a text",
        (f"{DOORS}::test_a_text_is_a_text",),
        "60 texts -> N / 40, up to 5,000",
        ("at_the_doors",),
    ),
    "S17": Goal(
        "what is deployed",
        (
            "tests/infra/test_grants.py::test_nobody_may_more_or_less_than_the_design_says",
            "tests/infra/test_archive.py::test_the_archive_holds_what_is_deployed_and_nothing_else",
        ),
        "every grant of the plan; pins are versions: hashes would have to name the"
        " wheels of every platform. No list of known holes is asked, as that takes the"
        " network",
    ),
}
