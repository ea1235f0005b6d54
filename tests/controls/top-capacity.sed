# file: cli/top_screen.c
# test: e2e/test_top shows_all_of_it
# What the screen says is what the broker says.
s/top_screen_number\(m->number\[TOP_CAPACITY_SLABS\], all/top_screen_number(1 + m->number[TOP_CAPACITY_SLABS], all/
