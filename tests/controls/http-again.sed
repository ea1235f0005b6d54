# file: runtime/http_listen.c
# test: runtime/test_http test_port_of_an_earlier_life
# An open page finds the next life of its process.
s/if \(port > 0\) \{/if (0) {/
