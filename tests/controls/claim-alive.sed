# file: runtime/claim.c
# test: runtime/test_link test_foreign_socket_is_not_stolen
# A socket at which somebody answers is left to him.
s/if \(is_alive\(path\)\)/if (0)/
