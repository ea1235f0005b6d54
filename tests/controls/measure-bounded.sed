# file: capture/maker.c
# test: e2e/test_flood a_capture*
# A capture keeps so many bytes of the rows that it measures.
s/BOUNDS_MEASURED_BYTES, &m->measure/(size_t)1 << 32, \&m->measure/
