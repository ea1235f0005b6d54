# file: trainer/opening.c
# test: e2e/test_resume what_was_trained_is_told_at_once
# The age of the checkpoint is its own, and not that of this life.
s/t->written_seconds = save->written_seconds;//
