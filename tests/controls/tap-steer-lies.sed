# file: proto/steer.c
# test: tap/test_context a_table_that_lies_is_refused
# No table makes rows that are no numbers.
s/while \(x < end && isfinite\(\*x\)\) x\+\+;/x = end;/
