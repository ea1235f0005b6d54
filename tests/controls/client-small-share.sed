# file: proto/ring.c
# test: client/test_client a_small_share_may_be_handed_back
# A share above 0 is never none.
s/^    return \(uint32_t\)fmax\(ldexp\(share, 32\), 1\);/    return (uint32_t)ldexp(share, 32);/
