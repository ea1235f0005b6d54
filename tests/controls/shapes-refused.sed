# file: inspect/subject.c
# test: e2e/test_shapes every_shape_does_what_the_table_says
# What needs a dictionary refuses other shapes with a sentence.
s/if \(o->arch != SAE_TRANSCODER && .*\) return ERR_OK;/return ERR_OK;/
