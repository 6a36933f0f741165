"""Which tests keep out which kind of attack or fault: ATTACKS 27 to 48. Tests of 1 to 26 are named by number."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACCEPTANCE, CLIENT = "tests/acceptance", "clients/python/tests"

# Number: what succeeded once, and the tests of its kind.
MAP: dict[int, tuple[str, dict[str, tuple[str, ...]]]] = {
    27: (
        "kill -9 at any moment",
        {
            "tests/faults/test_faults.py": (
                "test_27_kills_lose_no_acknowledged_write_and_leave_none_half_done",
                "test_27_what_has_to_be_done_once_is_done_once_among_replicas_that_are_killed",
            ),
            f"{ACCEPTANCE}/test_decision_log.py": ("test_across_kills_of_the_service_and_of_the_database",),
            f"{ACCEPTANCE}/test_service.py": ("test_after_kill_minus_nine_it_takes_its_database_over",),
            "tests/decision_log/test_leftovers.py": ("test_what_was_still_locked_is_looked_for_again",),
        },
    ),
    28: (
        "a database that is gone, slow, read-only or half there",
        {
            "tests/faults/test_faults.py": (
                "test_28_a_promoted_standby_has_every_acknowledged_write_and_is_found",
                "test_28_without_its_database_a_replica_is_right_until_its_limit_and_says_nothing_after",
            ),
            "tests/store/test_half_open.py": ("test_a_replica_follows_again_after_its_connection_went_silent",),
            "tests/store/test_seats.py": ("test_one_has_it_and_the_next_takes_it_when_its_connection_ends",),
        },
    ),
    29: (
        "a full disk, an empty pool, a deadline past, a clock moved back",
        {
            "tests/faults/test_full_disk.py": ("test_29_a_service_whose_log_cannot_be_written_answers_all_the_same",),
            f"{ACCEPTANCE}/test_decision_log_full.py": (
                "test_with_its_disk_full_a_service_answers_nothing_that_it_cannot_record",
            ),
            "tests/audit/test_log.py": ("test_a_checkpoint_that_the_disk_has_no_room_for_leaves_nothing",),
            "tests/members/test_letters.py": ("test_a_full_disk_delays_and_leaves_no_half_letter",),
            "tests/rpc/test_deadlines.py": ("test_a_revision_that_does_not_come_is_told_before_the_deadline",),
        },
    ),
    30: (
        "restart and shutdown under load",
        {
            f"{ACCEPTANCE}/test_rolling_restart.py": ("test_no_check_fails_while_three_replicas_are_restarted",),
            "tests/members/test_stop_while_sending.py": (
                "test_a_letter_that_is_interrupted_anywhere_ends_at_once",
                "test_a_stop_waits_a_moment_for_a_letter_that_is_being_taken",
            ),
            "tests/whole/test_stop.py": ("test_30_health_is_first_and_what_comes_until_it_is_heard_is_answered",),
        },
    ),
    31: (
        "writers side by side",
        {
            "tests/store/test_writers_side_by_side.py": (
                "test_sixteen_writers_leave_one_chain",
                "test_one_chain_while_everything_else_goes_on",
                "test_no_release_can_fork_the_log",
            ),
            "tests/whole/test_limits.py": ("test_writers_side_by_side_do_not_pass_a_cap",),
            "tests/members/test_letters.py": ("test_callers_side_by_side_do_not_all_find_the_last_one_free",),
            "tests/members/test_cost.py": ("test_what_changed_after_the_look_is_what_counts",),
            "tests/decision_log/test_decision_arrivals.py": ("test_an_id_is_given_once",),
        },
    ),
    32: (
        "one poisoned row",
        {
            "tests/members/test_letters.py": (
                "test_a_row_that_cannot_be_written_as_a_letter_is_set_aside_and_resend_puts_it_back",
                "test_an_unforeseen_fault_of_one_letter_sets_it_aside_without_its_text",
            ),
            f"{ACCEPTANCE}/test_letters.py": ("test_one_poisoned_letter_holds_up_nobody_before_and_after_a_restart",),
            "tests/tasks/test_background_tasks.py": (
                "test_a_sender_that_fails_takes_manage_users_out_of_use_and_nothing_else",
                "test_a_follower_that_fails_takes_both_planes_out_of_use_until_it_follows_again",
            ),
            "tests/store/test_driver_faults.py": (
                "test_connections_that_die_while_letters_are_sent_cost_a_pause_and_no_letter",
            ),
        },
    ),
    33: (
        "names that are read as something else",
        {
            "tests/vocabulary/test_plain_text.py": (
                "test_what_programs_take_for_something_else_is_refused_by_its_field",
            ),
            "tests/members/test_mail.py": ("test_whatever_is_stored_the_letter_has_its_headers_one_link_and_no_other",),
            "tests/members/test_letter_doors.py": (
                "test_every_door_refuses_what_mail_programs_read_otherwise_and_names_the_field",
            ),
            "tests/cli/test_audit_arrivals.py": ("test_names_are_intact_and_formulas_dead",),
        },
    ),
    34: (
        "a name or address taken by another door",
        {
            "tests/members/test_names_and_addresses.py": (
                "test_34_a_reserved_name_is_not_registered_by_somebody_else",
                "test_34_nor_granted_to_somebody_else",
                "test_34_reuse_sets_no_address_before_the_person_accepted",
                "test_34_the_address_of_a_third_person_is_bound_to_nobody_else",
                "test_34_whatever_brought_an_invitation_it_binds_nobody_elses_address",
            ),
        },
    ),
    35: (
        "stuck half way",
        {
            "tests/members/test_set_up.py": (
                "test_35_who_followed_the_link_and_did_not_finish_comes_back_by_it",
                "test_35_an_unfinished_set_up_is_seen_and_sent_again",
                "test_35_what_was_taken_meanwhile_is_not_set_up",
                "test_35_a_link_to_the_set_up_ends_with_its_time_and_can_be_sent_again",
            ),
            "tests/members/test_names_and_addresses.py": (
                "test_35_an_expired_invitation_holds_neither_name_nor_address",
            ),
            "tests/members/test_membership_model.py": ("test_31_36_the_service_does_what_the_model_says",),
        },
    ),
    36: (
        "a replay after the world has changed",
        {
            "tests/members/test_replays.py": (
                "test_36_every_keyed_call_has_a_story",
                "test_36_a_repeated_call_is_answered_while_it_stands_and_not_after",
            ),
        },
    ),
    37: (
        "quadratic work, and work under the lock",
        {
            "tests/members/test_cost.py": (
                "test_work_grows_with_what_is_shown_and_not_with_its_square",
                "test_casbin_is_not_asked_while_the_lock_is_held",
                "test_another_accounts_write_goes_on_while_one_is_asked_about",
            ),
        },
    ),
    38: (
        "memory and time before validation",
        {
            "tests/rpc/test_bounds.py": (
                "test_a_megabyte_of_nothing_is_refused_before_anything_is_built",
                "test_every_bound_is_kept",
            ),
            "tests/whole/test_limits.py": ("test_one_too_many_is_refused_by_the_fields_name",),
        },
    ),
    39: (
        "what is opened and says nothing",
        {
            "tests/rpc/test_silence.py": (
                "test_a_thousand_silent_calls_of_the_decision_plane_stop_nobody",
                "test_a_thousand_silent_calls_of_the_management_plane_stop_nobody",
                "test_streams_of_reflection_that_were_asked_once_and_stay_open_stop_nobody",
                "test_connections_that_say_nothing_are_closed",
            ),
            "tests/rpc/test_metrics_port.py": ("test_who_says_nothing_or_half_a_word_holds_nobody",),
            f"{ACCEPTANCE}/test_files.py": ("test_connections_that_say_nothing_use_up_no_files",),
        },
    ),
    40: (
        "a path beside the guard",
        {
            "tests/rpc/test_edges.py": (
                "test_health_is_checked_listed_and_watched_without_a_word_too_many",
                "test_reflection_tells_the_contract_by_either_name",
                "test_a_method_that_is_not_here_says_what_is",
            ),
            "tests/rpc/test_metrics_port.py": ("test_there_is_no_other_path",),
            "tests/rpc/test_token_addresses.py": ("test_who_opens_a_lasting_stream_there_shows_a_token",),
            "tests/rpc/test_caller_kinds.py": (
                "test_every_method_that_can_be_limited_is_one_whose_request_leads_to_an_account",
            ),
        },
    ),
    41: (
        "a shared share used up",
        {
            "tests/decision_log/test_decision_flood.py": (
                "test_six_streams_of_full_batches_slow_nobody_but_themselves",
            ),
            "tests/decision_log/test_decision_room.py": ("test_whoever_floods_the_log_leaves_room_for_everybody_else",),
            "tests/whole/test_limits.py": ("test_checks_are_answered_while_the_others_share_is_full",),
            "tests/members/test_letters.py": ("test_letters_of_one_account_are_limited",),
            "tests/rpc/test_shares.py": ("test_a_caller_beyond_its_share_is_refused_and_the_others_are_not",),
            "tests/client/test_health.py": ("test_more_clients_than_may_watch_are_answered_all_the_same",),
        },
    ),
    42: (
        "rights widened by an instrument meant for others'",
        {
            "tests/seed/test_callers_rights.py": (
                "test_ops_give_no_caller_more_than_it_may_however_it_is_written",
                "test_nobody_goes_back_to_rights_that_were_taken",
                "test_whoever_holds_the_database_says_it_too",
                "test_a_moved_policy_brings_no_caller_more_unless_it_is_said",
            ),
            "tests/callers/test_changing.py": (
                "test_a_deny_that_goes_gives_what_a_caller_was_given_by_itself",
                "test_a_limit_that_goes_is_told_as_more",
                "test_who_may_not_change_callers_opens_no_door",
            ),
        },
    ),
    43: (
        "two identities, or one by a header",
        {
            "tests/rpc/test_identity.py": (
                "test_any_other_certificate_is_nobodys",
                "test_an_identity_named_by_a_header_is_not_believed",
            ),
            "tests/rpc/test_caller_kinds.py": ("test_nobody_without_one_valid_identity_calls_anything",),
            "tests/rpc/test_tokens_on_loopback.py": (
                "test_a_wrong_token_is_never_taken_for_none",
                "test_what_a_proxy_passes_on_is_refused_with_a_token_too",
            ),
        },
    ),
    44: (
        "what is of another history",
        {
            "tests/whole/test_foreign_history.py": (
                "test_a_token_of_a_lost_history_is_never_answered_however_far_the_new_one_grew",
                "test_a_plan_of_a_lost_history_is_not_applied_to_the_new_one",
                "test_pages_and_points_of_a_lost_history_are_refused",
            ),
            "tests/callers/test_other_history.py": (
                "test_a_restore_revives_no_token_that_a_living_replica_knew_to_have_ended",
            ),
            "tests/callers/test_changing.py": ("test_a_callers_rights_move_and_its_tokens_do_not",),
            "tests/decision_log/test_decision_arrivals.py": (
                "test_a_place_of_another_history_is_refused_and_not_gone_on_from",
            ),
            f"{CLIENT}/test_checks.py": ("test_what_a_replica_behind_or_another_history_answers_is_not_kept",),
        },
    ),
    45: (
        "our own fault told as the user's",
        {
            "tests/members/test_mail_faults.py": ("test_who_has_to_do_something",),
            "tests/members/test_letters.py": (
                "test_a_fault_of_ours_is_not_told_as_the_addresss_and_is_tried_again",
                "test_a_full_disk_delays_and_leaves_no_half_letter",
            ),
            f"{ACCEPTANCE}/test_decision_log_full.py": (
                "test_with_its_disk_full_a_service_answers_nothing_that_it_cannot_record",
            ),
        },
    ),
    46: (
        "late rows, last days, and empty for unknown",
        {
            "tests/decision_log/test_decision_arrivals.py": (
                "test_an_export_that_goes_on_misses_nothing_whoever_ships_meanwhile",
            ),
            "tests/cli/test_audit_arrivals.py": ("test_until_a_date_holds_that_day_also_where_it_is_today",),
            "tests/cli/test_words.py": ("test_an_unknown_name_is_said_to_be_unknown",),
        },
    ),
    47: (
        "a client carried over a fork, or at the wrong door",
        {
            f"{CLIENT}/test_forks.py": ("test_a_client_that_was_used_before_a_fork_works_on_both_sides",),
            f"{CLIENT}/test_addresses.py": ("test_each_address_is_known_by_its_own_name",),
            f"{CLIENT}/test_checks.py": (
                "test_a_forked_process_remembers_for_itself",
                "test_time_also_passes_while_the_machine_sleeps",
            ),
            f"{CLIENT}/test_reach.py": ("test_the_other_planes_port_is_told", "test_a_port_of_another_program_is_told"),
            "tests/rpc/test_edges.py": ("test_http_1_and_heads_too_large_are_turned_away",),
        },
    ),
    48: (
        "errors bigger than their channel",
        {
            "tests/rpc/test_status.py": ("test_every_error_fits_into_the_trailers",),
            "tests/whole/test_limits.py": ("test_a_batch_with_a_thousand_faults_says_the_first_and_their_number",),
            f"{CLIENT}/test_reach.py": ("test_an_error_with_much_to_say_arrives_whole",),
        },
    ),
}


def test_every_kind_has_its_tests():
    assert sorted(MAP) == list(range(27, 49))
    assert all(tests for _, tests in MAP.values())


@pytest.mark.parametrize("number", MAP)
def test_the_tests_of_a_kind_are_there(number):
    for file, names in MAP[number][1].items():
        tree = ast.parse((ROOT / file).read_text())
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert set(names) <= found, file
