# file: runtime/http.c
# test: runtime/test_http test_stream
# Who listens is woken before the end: libmicrohttpd stops the process that leaves one asleep.
s/if \(http->stream\) http_stream_end\(http->stream\);//
