# file: trainer/events.c
# test: trainer/test_events a_step_that_comes_again_takes_the_place_of_its_point
# A step that is told again takes the place of its point.
s/p->steps <= e->covered_steps/0/
