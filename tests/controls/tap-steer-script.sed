# file: tap/preloaded.c
# test: e2e/test_tap_steer a_script_that_runs_other_programs_first
# A program of the script that makes no context leaves the table to the one that does.
s/^    environment_clean\(\);/    tap_begin_steering();\n    environment_clean();/
