# file: trainer/jsonl.c
# test: trainer/test_jsonl a_resume_cuts_what_its_checkpoint_does_not_cover
# A line beyond the checkpoint that was resumed from is cut.
s/ && \*steps <= j->covered_steps//
