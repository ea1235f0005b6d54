# file: proto/frame.c
# test: proto/test_frame unknown_versions_types_and_flags_are_refused
# A frame with flags of a later version is refused.
s/if \(get_le32\(data \+ AT_FLAGS\) != 0\)/if (0)/
