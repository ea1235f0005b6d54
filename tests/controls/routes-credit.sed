# file: broker/routes.c
# test: broker/test_routes credit_bounds_frames
# The broker forwards no frame beyond the credit.
s/if \(h\.number > l->credit\)/if (0)/
