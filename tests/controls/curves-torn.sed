# file: trainer/events.c
# test: trainer/test_events what_a_kill_has_torn_is_cut
# A record that a kill has torn is cut off.
s/result = grown_cut\(&e->file, cut\);/result = ERR_OK;/
