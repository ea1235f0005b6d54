# file: runtime/finish.c
# test: runtime/test_finish the_neediest_consumer_counts
# A capture goes on while any trainer needs rows.
s/if \(need < neediest\)/if (need == FINISH_SILENT)/
