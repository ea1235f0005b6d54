# file: cli/live.c
# test: e2e/test_check_live who_may_not_ask_knows_nothing
# Whoever may not ask the broker does not say that the stream does not run.
s/if \(result != ERR_OK && !snapshot_is_silence\(result\)\) return result;//
