# file: tap/control.c
# test: tap/test_control a_forked_child_leaves_it_alone
# A forked child does not keep its parent's socket open.
s/^    close_all\(\);$//
