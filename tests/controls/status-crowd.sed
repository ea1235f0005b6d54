# file: broker/status.c
# test: broker/test_status a_crowd_of_captures_has_rates
# A crowd of captures that report does not push one another out.
s/if \(all <= MESSAGE_KEPT_REPORTS_BYTES \|\| !oldest\) return;/if (all <= MESSAGE_MAX_TELL_BYTES || !oldest) return;/
