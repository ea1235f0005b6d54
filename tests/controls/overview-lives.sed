# file: broker/overview.c
# test: broker/test_overview all_lives_count
# What earlier lives of a capture shed and lost counts.
s/return isnan\(all\) \? life : all;/return life;/
