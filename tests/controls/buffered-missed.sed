# file: buffer/scan.c
# test: inspect/test_buffered what_goes_meanwhile_is_counted
# Slabs that went before they were read are counted.
s/if \(s->at_end \|\| later\)/if (0)/
