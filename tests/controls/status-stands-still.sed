# file: broker/status.c
# test: broker/test_movement a_stopped_trainer_is_told
# A stream that stands still is not ready.
s/if \(most < MOVEMENT_STILL_SECONDS\) return ERR_OK;/return ERR_OK;/
