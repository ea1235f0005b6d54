# file: tap/tap.c
# test: tap/test_context other_hooks_have_another_ring
# Rows of other hooks never go into the ring that was made for others.
s/^        retire\(\);\n        tap\.hooks/        tap.hooks/; s/^    if \(is_other\) \{/    if (is_other \&\& !tap.outlet) {/
