# file: proto/tap_folder.c
# test: tap/test_control what_another_of_its_number_serves_stays
# A socket has a name that no other process has.
s/"%d-%08x", \(int\)getpid\(\), \(unsigned\)\(hash >> 32\)\)/"%d", (int)getpid() + 0 * (int)hash)/
