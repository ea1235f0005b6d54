# file: client/rows.c
# test: client/test_client no_more_rows_than_the_rate_lets
# No more rows than the limit lets.
s/if \(!interval\) return n;/if (interval || !interval) return n;/
