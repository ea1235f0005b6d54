# file: capture/ending.c
# test: capture/test_ending a_pause_of_all_is_nobodys_silence
# A host that slept ends no share.
s/since_ns > pause_ns/0/
