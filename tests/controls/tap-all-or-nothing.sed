# file: tap/tap.c
# test: tap/test_context all_is_changed_or_nothing
# Who is refused what to steer by has no settings changed.
s/^    int result = may_steer\(steering\);/    int result = ERR_OK;/
s/^    if \(result == ERR_OK && c->steer\) steer_by\(steering\);/    if (result == ERR_OK) result = may_steer(steering);\n&/
