# file: engine/ring.c
# test: e2e/test_rings a_program_too_many_is_taken_when_there_is_room
# What was left unread is looked at again.
s/^    if \(is_taken\(r, path\)\) return ERR_OK;/    for (uint32_t i = 0; i < REMEMBERED; i++)\n        if (r->unread[i] == fingerprint_add_text(0, path)) return ERR_OK;\n&/
