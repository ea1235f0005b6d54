# file: tap/tap.c
# test: tap/test_context settings_that_make_no_sense_change_nothing
# Hooks that the model does not have are refused, and what was set stays.
s/if \(is_other && tap\.model\) result = outlet_check/if (0) result = outlet_check/
