# file: tap/ubatch.c
# test: tap/test_ubatch what_two_sequences_could_claim_is_nobodys
# Of two entries with one token and position nobody knows which row is whose.
s/^        set_ambiguous\(s, &s->entry.*//; s/^        set_ambiguous\(s, e\);//
