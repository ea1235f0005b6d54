# file: tap/ubatch.c
# test: tap/test_ubatch a_token_of_several_sequences_is_nobodys
# A token that several sequences share is nobody's.
s/if \(slot < 0\) set_ambiguous\(s, e\);//
