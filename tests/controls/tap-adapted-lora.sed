# file: tap/calls.c
# test: e2e/test_tap rows_under_a_lora_are_left_out
# A LoRA that a program sets is noted.
s/^    if \(c\) c->has_lora = any .*//
