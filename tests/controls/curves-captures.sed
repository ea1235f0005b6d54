# file: broker/curves.c
# test: broker/test_history captures_leave_room_for_autoencoders
# Series of many captures leave room for those of autoencoders.
s/if \(is_one_of_many\(n\)\) return;//
