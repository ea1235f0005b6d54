# file: broker/page/status.js
# test: e2e/test_dashboard the_silent_have_no_points
# What a silent process said last is not drawn on.
s/status\.processes\.filter\(\(p\) => p\.age_seconds <= SILENT_SECONDS\)/status.processes/
