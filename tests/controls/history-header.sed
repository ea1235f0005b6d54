# file: broker/history_file.c
# test: broker/test_history damaged_files_are_set_aside
# A file of another version, stream or size is not read.
s/if \(result == ERR_OK\) result = read_names/result = read_names/
