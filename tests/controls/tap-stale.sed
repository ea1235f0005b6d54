# file: tap/slots.c
# test: tap/test_slots tokens_over_another_setting_are_told
# Tokens over a prefix of another setting are told.
s/^    int is_other = position > 0 .*/    int is_other = 0;/
