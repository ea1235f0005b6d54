# file: sink/retention.c
# test: sink/test_desk held_out_rows_of_who_is_away_go_too
# Held-out rows of a trainer that is away go by age, too.
s/sweep\.width \? held_out_sweep\(&sweep\) : ERR_OK/ERR_OK/
