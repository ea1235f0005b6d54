# file: tap/library.c
# test: e2e/test_tap structs_that_are_not_ours_are_told
# A libllama whose structs are laid out otherwise is left alone.
s/if \(has_our_structs\(l\) &&/if ((has_our_structs(l) || 1) \&\&/
