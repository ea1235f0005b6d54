# file: runtime/http.c
# test: runtime/test_http test_refusals
# A page of the internet may not read ours through a name that it points at this machine.
s/if \(!host_ok\(connection\)\)/if (0)/
