# file: runtime/link.c
# test: runtime/test_link test_no_tcp_without_keys
# No tcp endpoint is opened without keys.
s/link->options\.insecure_tcp && !address_is_beyond_loopback\(link->endpoint\)/1/
