# file: tap/library.c
# test: e2e/test_tap a_part_of_a_program_that_has_its_own_library
# A libllama of any name, loaded for one part of the program alone, is found.
s/^    if \(!at\) at = find_local\(every_version_has\);//
