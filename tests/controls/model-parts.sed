# file: base/model_file.c
# test: base/test_model_file each_part_counts
# Each part of a model in several files counts.
s/parts = model_file_parts\(path\), result/parts = 1, result/
