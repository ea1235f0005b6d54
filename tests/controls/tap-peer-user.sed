# file: tap/control.c
# test: tap/test_control another_user_gets_no_word
# A tapped program speaks to its own user alone.
s/peer\.uid == control\.uid \|\| peer\.uid == 0/1/
