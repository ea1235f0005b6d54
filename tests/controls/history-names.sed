# file: broker/history_file.c
# test: broker/test_history damaged_files_are_set_aside
# A name that was changed is found.
s/entry->check != XXH3_64bits\(entry->text, sizeof entry->text\) \|\|//
