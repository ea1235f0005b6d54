# file: trainer/finishing.c
# test: e2e/test_finish at_once_it_takes_what_is_there
# The rate reaches its end where the rows do.
s/if \(t->is_finishing && ends && g.draws_left < needed\(t\)\)/(void)shorten, (void)ends, (void)g;\n    if (0)/; s/result = shorten\(t, g.draws_left\);/;/
