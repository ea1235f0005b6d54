# file: capture/maker.c
# test: e2e/test_flood a_capture_keeps_to_its_memory
# A capture keeps so many bytes of the rows that it measures.
s/BOUNDS_MEASURED_BYTES, &m->measure/(size_t)1 << 32, \&m->measure/
