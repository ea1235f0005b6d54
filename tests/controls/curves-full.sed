# file: trainer/grown.c
# test: trainer/test_jsonl a_full_disk_leaves_a_gap
# What a disk took a part of is cut off again.
s/\(void\)!ftruncate\(fd, \(off_t\)g->bytes\);/;/
