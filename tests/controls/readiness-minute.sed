# file: runtime/readiness.c
# test: runtime/test_readiness a_minute_and_no_less
# What lasts for a minute is not well.
s/r->is_unwell = readiness_seconds\(r, now_ns\) >= READINESS_UNWELL_SECONDS;//
