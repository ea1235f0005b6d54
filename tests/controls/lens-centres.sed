# file: inspect/lens.c
# test: inspect/test_attribution of_a_layer_norm
# The lens finds out that the final norm centres.
s/lens->centres = difference < 1e-3 \* size;/lens->centres = 0;/
