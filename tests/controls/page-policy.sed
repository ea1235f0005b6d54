# file: broker/page.c
# test: e2e/test_dashboard nothing_else_runs_in_it
# The browser runs and asks nothing but what is the broker's.
s/reply->policy = policy;/reply->policy = NULL;/
