# file: broker/page/status.js
# test: e2e/test_dashboard who_was_through_is_not_silent
# A process that was through is not called silent.
s/isThrough\(status, process\) \? "ended" : "silent"/"silent"/
