# file: inspect/promotes.c
# test: inspect/test_promotes what_is_added_to_the_stream_promotes
# What a module returns promotes only where it is known to be added as it is.
s/return points->mlp_module;/return 1;/
