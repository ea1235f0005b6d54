# file: cli/roster.c
# test: cli/test_live who_is_through_is_not_missed
# Who is through is not missed, also where the broker is a new one.
s/is_through_by_sink\(sink, k, which\) \? ROSTER_ENDED : //
