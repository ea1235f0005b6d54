# file: engine/ring_judge.c
# test: e2e/test_rings who_does_not_tell_its_model_is_refused
# A program that names a file and no key of it is refused: its path may be another container's.
s/f->model_file\[0\] && !f->model_key/0/
