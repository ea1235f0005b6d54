# file: trainer/main.c
# test: e2e/test_finish who_needs_rows_and_is_gone_holds_nothing_up
# A trainer that is alive is waited for as long as it needs rows.
s/finish_answer_renew\(config, .*/(void)config;/
