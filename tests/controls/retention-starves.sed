# file: buffer/draw.c
# test: buffer/test_draw rows_that_expire_are_drawn_before_they_do
# Nobody waits for half of a buffer that its rows' age keeps emptier than that.
s/return goes_by_age && half < min_rows \? half : min_rows;/return goes_by_age \&\& half < 0 ? half : min_rows;/
