# file: runtime/log.c
# test: runtime/test_log test_files_begin_anew
# A log begins anew.
s/st\.st_size < LOG_FILE_BYTES\) return;/1) return;/
