# file: sae/checkpoint.c
# test: sae/test_checkpoint a_damaged_newest_is_reported_and_the_one_before_used
# Where the newest checkpoint is damaged, the one before is used.
s/if \(!is_damage\(result\)\) break;/break;/
