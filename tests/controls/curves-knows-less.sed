# file: trainer/curves.c
# test: trainer/test_curves a_resume_goes_on_from_its_checkpoint
# A life without a step does not replace what the one before knew.
s/if \(!t->life_rows && .*return;//
