# file: tap/slots.c
# test: tap/test_slots a_division_begins_anew
# A slot whose positions were divided begins another sequence.
s/if \(divisor == 1\) return;/if (divisor) return;/
