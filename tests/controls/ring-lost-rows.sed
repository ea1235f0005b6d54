# file: capture/maker.c
# test: e2e/test_live counts_close_from_program_to_buffer
# What a program sheds counts as captured and shed.
s/^    if \(!lost\) return ERR_OK;/    if (lost || !lost) return ERR_OK;/
