# file: engine/ring.c
# test: e2e/test_rings a_stream_that_ends_tells_its_programs
# A stream that has ended tells its programs.
s/^        ring_map_refuse\(&r->map\[i\], "the stream has ended"\);/        (void)0;/
