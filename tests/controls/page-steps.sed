# file: broker/page/past.js
# test: e2e/test_dashboard answers_of_other_steps_are_of_one_time
# Each answer of the history has steps of its own.
s/\(t - p\.from\) \/ p\.step_seconds/(t - parts[0].from) \/ step_seconds/
