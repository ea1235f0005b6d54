# file: broker/page/live.js
# test: e2e/test_dashboard without_a_stream_it_asks
# A page without a stream asks before it calls the broker silent.
s/onerror = \(\) => this\.#ask\(\)/onerror = () => this.#lost()/
