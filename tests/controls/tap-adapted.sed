# file: tap/context.c
# test: tap/test_context what_is_computed_under_an_adapter_is_left_out_and_counted
# What an adapter has changed is not the model's own.
s/^    if \(is_adapted\(c\)\) slots_note\(.*//
