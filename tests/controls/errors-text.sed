# file: broker/errors.c
# test: broker/test_errors they_are_bounded
# A text of a peer is one line without control characters.
s/\(unsigned char\)text\[i\] < ' ' \|\| text\[i\] == 0x7f \? ' ' : text\[i\]/text[i]/
