"""Commands of the docs that are not run as they stand there: which test runs the like, or why not.

Patterns are of whole commands, without the folder of the environment; the first that fits counts.
"""

TESTED = {
    r"edgeprof quickstart": "tests/cli/test_cli_quickstart.py::"
    "test_the_quickstart_leaves_a_store_a_predictor_and_what_to_do_next",
    r"edgeprof (sample|export|profile|dataset export|train|evaluate|predict) .*edgeprof-quickstart/"
    r"(?!here.edgp --).*": "tests/cli/test_cli_quickstart.py::"
    "test_the_quickstart_leaves_a_store_a_predictor_and_what_to_do_next",
    r"edgeprof onboard pi@10.*": "tests/cli/test_cli_onboard.py::"
    "test_a_board_cut_off_twice_is_finished_by_the_same_command",
    r"edgeprof onboard( --suite-models .*)?": "tests/cli/test_cli_onboard.py::"
    "test_this_machine_gets_predictors_and_a_page",
    r"edgeprof (profile|predict) .*edgeprof-vm/.*": "tests/cli/test_cli_onboard.py::"
    "test_this_machine_gets_predictors_and_a_page",
    r"edgeprof profile --subnets subnets.jsonl --store here.db": "tests/runs/test_profile_here.py::"
    "test_the_command_prints_what_it_did",
    r"edgeprof boards add .*": "tests/cli/test_cli_boards_add.py::"
    "test_a_board_is_described_and_written_where_other_commands_read_it",
    r"edgeprof boards check": "tests/runs/test_profile_on_boards.py::"
    "test_boards_are_listed_and_checked_from_the_command_line",
    r"edgeprof boards clean": "tests/runs/test_profile_on_boards.py::"
    "test_boards_are_prepared_and_cleaned_from_the_command_line",
    r"edgeprof search .*--verify-on local .*": "tests/search/test_search.py::"
    "test_finalists_are_measured_on_this_machine",
    r"edgeprof profile .*--dask .*|dask (scheduler|worker .*)": (
        "tests/runs/test_profile_on_boards.py::test_a_dask_worker_killed_half_way_loses_nothing"
    ),
    r"edgeprof profile .*--boards boards.yaml .*": "tests/runs/test_profile_on_boards.py::"
    "test_subnets_are_measured_on_boards_and_a_repeated_command_resumes",
    r"edgeprof measure .*--on .*": "tests/runs/test_profile_on_boards.py::"
    "test_a_model_is_measured_on_a_named_board",
    r"edgeprof probe --on .*": "tests/runs/test_probes.py::"
    "test_probes_of_a_board_are_filed_under_its_device",
    r"edgeprof advise .*--on .*": "tests/runs/test_advice.py::"
    "test_a_board_is_advised_with_the_runtimes_that_it_can_have",
    r"edgeprof doctor --board .*": "tests/slow/test_virtual_board_devices_slow.py::"
    "test_doctor_sees_the_throttled_clock_of_a_prepared_board_and_nothing_once_it_is_back",
    r"edgeprof gate .*--(seconds|summary) .*|.*runs\.gate import.*": "tests/runs/test_gate.py::"
    "test_a_model_much_slower_is_found_and_fails_the_command",
    r"edgeprof compare-predictors .*": "tests/predictors/test_compare_predictors.py::"
    "test_the_command_prints_every_model_with_its_errors",
    r"edgeprof-harness predict pi4.edgp --network .*": "tests/predictors/test_ship_layer_costs.py::"
    "test_the_board_program_predicts_lists_of_layers",
    r"edgeprof lut build .*--boards .*": "tests/predictors/test_lut.py::"
    "test_build_command_times_on_boards_and_resumes",
    r"edgeprof lut build .*": "tests/predictors/test_lut.py::"
    "test_build_command_times_here_with_the_chosen_runtime_and_resumes",
    r"edgeprof harness build .*": ".ci/run::edgeprof harness build",
    r"sudo firmware_scripts/setup_board.sh .*": "tests/boards/test_firmware_scripts.py::"
    "test_set_up_twice_and_restored_every_board_is_as_before_to_the_byte",
    r"tools/virtual_board/make_virtual_board.sh .*": "tests/emulated/test_virtual_board.py::"
    "exact_board",
    r"python tools/release.py .*": "tests/slow/test_wheels_slow.py::"
    "test_wheel_is_installed_and_measures_and_predicts",
    r"python tools/board_table.py .*": "tests/packaging/test_board_table.py::"
    "test_newer_rows_replace_older_ones_and_what_never_ran_stays",
    r"python3 -m venv .venv|pip install \.\[test\]": ".ci/run::.venv/bin/pip install",
}
"""Pattern -> the test that runs the same command on what it made itself, or the script of CI."""

NOT_RUN = {
    r"pytest .*|\.ci/run": "it would run this test",
    r"pip install \.\[(all|dev)\]|pip install edgeprof\[.*": "installs packages",
    r"git show .*": "needs the repository of a user",
    r"edgeprof train ofanas.*": "needs public data; benchmarks/predictor_accuracy.py does the same",
    r"python benchmarks/.*": "takes minutes or hours, and prints what the docs show",
}
"""Pattern -> why no test runs it."""
