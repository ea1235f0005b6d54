# file: broker/overview.c
# test: broker/test_overview what_is_lost_anywhere
# What captures lose counts as lost.
s/sum_of\(sum->lost_by_captures, sum->lost_by_trainer\)/sum->lost_by_trainer/
