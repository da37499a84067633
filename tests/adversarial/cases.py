"""The adversarial cases: what hostile code, models and repositories try, and the tests that show what comes of it.

A case of the sandbox runs on every backend in KINDS; a case that is a rule of our own code is tested where the rule lives.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

KINDS = ("docker", "bubblewrap", "ordinary") if os.getuid() == 0 else ("docker", "bubblewrap")
"""Backends: `ordinary` is bubblewrap of a user without any rights, `bubblewrap` that of whoever runs the tests."""


@dataclass(frozen=True)
class Case:
    """`sandboxed` tests run on every backend, `rules` where they stand; all are named from the folder of tests."""

    number: int
    tried: str
    sandboxed: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


_COMMANDS = "adversarial/test_hostile_commands.py::test_"
_LIMITS = "adversarial/test_limits.py::test_"
_SOCKETS = "adversarial/test_sockets.py::test_"
_TRAPS = "adversarial/test_traps.py::test_"
_ENDS = "adversarial/test_ends.py::test_"
_REPOSITORY = "adversarial/test_hostile_repository.py::test_"

CASES = (
    Case(1, "a fork bomb", (_COMMANDS + "a_fork_bomb_stops_at_the_limit",)),
    Case(2, "processes that respawn each other", (_COMMANDS + "processes_that_respawn_each_other_are_gone_at_the_deadline",)),
    Case(3, "3 GB of memory, at once and in pieces", (
        _LIMITS + "three_gigabytes_are_not_to_be_had",
        _LIMITS + "many_that_take_little_each_are_one_that_takes_much",
    )),
    Case(4, "filling /tmp, the home directory, /dev/shm", (
        _LIMITS + "a_full_temporary_directory_is_the_end_of_it",
        _COMMANDS + "filling_shared_memory_ends_at_its_size",
    )),
    Case(5, "filling the workspace: bytes, files, files without a name, behind locked directories", (
        _LIMITS + "seven_hundred_megabytes_in_the_workspace",
        _LIMITS + "a_million_empty_files",
        _LIMITS + "files_without_a_name_take_space_too",
        _LIMITS + "a_directory_that_cannot_be_measured_is_too_large",
    )),
    Case(6, "endless output", (
        _COMMANDS + "endless_output_is_cut_and_costs_no_memory",
        _LIMITS + "endless_output_leaves_our_memory_alone",
    )),
    Case(7, "endless output into the log of process 1", (_LIMITS + "the_first_process_has_no_log",)),
    Case(8, "waiting for ever, for time and for input", (
        _LIMITS + "waiting_for_ever_ends_at_the_deadline",
        _COMMANDS + "waiting_for_input_ends_at_once",
        _COMMANDS + "a_pipe_that_nobody_reads_is_no_escape",
    )),
    Case(9, "ignoring signals, stopping oneself", (
        _COMMANDS + "signals_that_are_ignored_do_not_help",
        _LIMITS + "a_stopped_process_is_ended_too",
    )),
    Case(10, "daemons", (_COMMANDS + "daemons_do_not_survive",)),
    Case(11, "killing everything", (_COMMANDS + "a_command_that_kills_everything_it_can_hurts_only_itself",)),
    Case(12, "bytes that are no text", (_COMMANDS + "bytes_that_are_no_text_become_text",)),
    Case(13, "sequences that steer a terminal", rules=(
        "test_headless.py::test_nothing_hostile_reaches_the_terminal_raw",
        "tools/test_bash.py::test_control_sequences_do_not_get_through",
        "tools/test_base.py::test_nothing_that_leaves_the_room_can_steer_a_terminal",
        "sandbox/test_hostfiles.py::test_control_characters_are_made_visible",
    )),
    Case(14, "TCP, UDP, IPv6, names, the metadata service", (
        _COMMANDS + "no_address_can_be_reached",
        _SOCKETS + "a_name_server_is_not_asked",
    )),
    Case(15, "services of this machine, on loopback and through a bridge", (_COMMANDS + "services_of_this_machine_cannot_be_reached",)),
    Case(16, "abstract sockets of this machine", (_COMMANDS + "abstract_sockets_of_this_machine_cannot_be_reached",)),
    Case(17, "sockets to the hypervisor, raw sockets, io_uring, other ways into the kernel", (
        _SOCKETS + "there_are_four_families_of_sockets",
        _SOCKETS + "no_raw_packet_can_be_made",
        _SOCKETS + "asynchronous_input_and_output_of_the_kernel_is_not_there",
        _SOCKETS + "other_ways_into_the_kernel_are_closed",
    ), ("sandbox/test_seccomp.py::test_the_kernel_agrees",)),
    Case(18, "secrets in environments and command lines", (
        _COMMANDS + "nothing_of_the_hosts_environment_is_inside",
        _COMMANDS + "the_callers_variables_are_not_shown_to_other_programs",
    )),
    Case(19, "the home directory and what is in it", (
        _COMMANDS + "homes_are_not_there",
        _COMMANDS + "files_of_this_machine_are_not_there",
    )),
    Case(20, "sockets of engines and services", (_COMMANDS + "no_control_socket_is_there",)),
    Case(21, "controls of the kernel", (_COMMANDS + "the_kernels_controls_cannot_be_written",)),
    Case(22, "devices", (_COMMANDS + "devices_are_harmless_and_none_can_be_made",)),
    Case(23, "namespaces and mounts", (_COMMANDS + "namespaces_and_mounts_are_refused",)),
    Case(24, "set-uid files", (
        _COMMANDS + "nobody_becomes_root",
        _TRAPS + "a_set_uid_file_is_an_ordinary_one_outside",
    )),
    Case(25, "the system's own files", (_COMMANDS + "the_system_inside_is_read_only",)),
    Case(26, "the clock, the name, priorities, terminals, descriptors", (
        _COMMANDS + "settings_of_the_machine_cannot_be_changed",
        _COMMANDS + "a_terminal_cannot_be_typed_into",
        _COMMANDS + "no_descriptor_of_ours_is_left_open",
    )),
    Case(27, "links that lead out of the workspace", (
        _TRAPS + "links_lead_the_host_nowhere",
        _TRAPS + "files_change_while_the_host_reads_them",
    ), ("sandbox/test_hostfiles.py::test_nothing_leads_out",)),
    Case(28, "pipes, sockets, holes, names, depth", (_TRAPS + "no_file_whatever_its_kind_stops_the_host",), (
        "sandbox/test_hostfiles.py::test_special_files_are_refused_at_once",
        "sandbox/test_hostfiles.py::test_a_deep_tree_is_walked_to_the_cap_and_removed",
    )),
    Case(29, "hooks of git", (_TRAPS + "git_made_hostile_by_a_command_runs_nothing_outside",), (
        _REPOSITORY + "a_whole_run_runs_nothing",
        "adversarial/test_host_git.py::test_no_planted_program_runs_on_the_host",
    )),
    Case(30, "filters, drivers, fsmonitor of git", (_TRAPS + "git_made_hostile_by_a_command_runs_nothing_outside",), (
        _REPOSITORY + "reading_it_runs_and_writes_nothing",
        _REPOSITORY + "writing_a_branch_runs_nothing",
        "adversarial/test_host_git.py::test_no_planted_program_runs_on_the_host",
    )),
    Case(31, "nested repositories and submodules", (_TRAPS + "git_made_hostile_by_a_command_runs_nothing_outside",), (
        _REPOSITORY + "a_whole_run_runs_nothing",
        "sandbox/test_snapshots.py::test_a_git_directory_stays_out_and_the_files_around_it_stay_in",
    )),
    Case(32, "patches that lead out", rules=(
        "sandbox/test_patches.py::test_paths",
        "sandbox/test_patches.py::test_modes",
        "sandbox/test_patches.py::test_renames_are_refused",
        "sandbox/test_patches.py::test_links_that_lead_out_of_the_tree",
        "sandbox/test_applying.py::test_a_refused_patch_is_not_begun",
    )),
    Case(33, "huge patches, long lines, odd line ends", rules=(
        "sandbox/test_snapshots.py::test_a_patch_has_a_limit",
        "sandbox/test_snapshots.py::test_long_lines_and_long_files",
        "sandbox/test_snapshots.py::test_too_much_change_at_once_is_an_error",
        "sandbox/test_snapshots.py::test_a_patch_makes_the_same_bytes_elsewhere",
        "sandbox/test_patches.py::test_sizes",
    )),
    Case(34, "carrying work out", (_COMMANDS + "work_cannot_be_carried_out",)),
    Case(35, "tampering with tests and with their verdict", rules=(
        "e2e/test_no_false_success.py::test_each_ending_has_its_own_status_and_sentence",
        "tools/test_testing.py::test_a_run_without_evidence_proves_nothing",
        "tools/test_testing.py::test_a_forged_report_that_contradicts_the_exit_status_is_dropped",
        "workflows/gates/test_tests.py::test_existing_tests_may_not_change",
        "workflows/gates/test_tests.py::test_new_files_that_steer_tests_may_not_come",
    )),
    Case(36, "time bombs", (_COMMANDS + "nothing_planted_in_the_home_directory_runs_later",)),
    Case(37, "files that run later on the user's machine, or would steer this session", rules=(
        "sandbox/test_patches.py::test_files_that_run_later_are_flagged",
        "adversarial/test_later.py::test_what_a_model_writes_for_agents_steers_nothing_and_is_flagged",
        "test_config.py::test_a_project_file_may_not_set_what_could_hurt",
    )),
    Case(38, "looking up the answer in the history", rules=(
        "sandbox/test_workspace_git.py::test_git_inside_knows_one_commit_and_nothing_else",
    )),
    Case(39, "forging the runner's reports", (
        _ENDS + "a_command_cannot_forge_how_it_ended",
        _ENDS + "a_command_cannot_speak_for_the_next_one",
        _ENDS + "frames_of_the_engine_in_the_output_are_output",
    )),
    Case(40, "asking for another directory, image or privilege", (
        _ENDS + "no_other_directory_can_be_asked_for",
        _ENDS + "a_directory_that_is_a_link_stays_inside",
    ), (_ENDS + "there_are_no_words_for_more_rights",)),
    Case(41, "killing the agent", (_ENDS + "a_killed_agent_takes_its_commands_along",), (
        "adversarial/test_kills.py::test_killed_at_random_moments_nothing_is_left_and_nothing_lost",
        "sandbox/test_recovery.py::test_killed_at_any_step_it_is_as_before_or_as_after",
        "workflows/test_site.py::test_the_copies_of_a_dead_process_go_and_its_journal_stays",
    )),
    Case(42, "no engine, no permission, no image, no namespaces, no space", rules=(
        "sandbox/test_docker.py::test_what_is_wrong_with_an_engine_is_said",
        "sandbox/test_docker.py::test_a_missing_image_is_named",
        "sandbox/test_docker.py::test_a_socket_that_may_not_be_used_is_told_from_a_missing_one",
        "sandbox/test_bubblewrap.py::test_when_nothing_works_both_reasons_are_given_and_nothing_runs",
        "sandbox/test_workspace.py::test_a_full_disk_is_a_clear_error_and_leaves_nothing",
    )),
)  # fmt: skip
