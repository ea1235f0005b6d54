# file: broker/status.c
# test: broker/test_status fits_in_a_message
# What is kept finds room in one message.
s/^    make_room\(s, bytes_of\(&kept\)\);//
