# file: broker/page/past.js
# test: e2e/test_dashboard gaps_are_gaps
# A value holds for seconds, and what is longer is a gap.
s/HOLDS_SECONDS = 3;/HOLDS_SECONDS = 3000;/
