# file: broker/movement.c
# test: broker/test_movement who_loads_owes_nothing
# A resumed trainer that reads its autoencoders owes no rows yet.
s/return phase < 0 \|\| phase >= PHASE_TRAINING;/return phase < PHASES_OF_TRAINER;/
