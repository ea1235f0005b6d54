# file: buffer/draw.c
# test: buffer/test_draw who_hurries_does_not_wait_for_more_rows
# Who needs no more rows does not wait for more.
s/d->options.min_rows = 1;//
