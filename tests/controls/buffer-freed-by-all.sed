# file: buffer/coverage.c
# test: buffer/test_coverage slabs_are_freed_when_all_have_finished_them
# A slab is freed when all consumers have finished it, not one of them.
/^int coverage_finished/,/^}/{
s/!consumer_finished\(([^)]*)\)\) return 0;/consumer_finished(\1)) return 1;/
}
