# file: buffer/environment.c
# test: e2e/test_damage damage_is_made_good
# A record of the buffer that does not match its checksum is damage.
s/if \(seal == environment_seal\(key, value->mv_data, bytes\)\) return ERR_OK;/if (seal || !seal) return ERR_OK;/
