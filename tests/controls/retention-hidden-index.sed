# file: sink/indexes.c
# test: sink/test_indexes what_is_too_old_goes
# An index goes whatever its name begins with.
s/if \(strcmp\(name, "\."\) == 0 \|\| /if (name[0] == '.' || /
