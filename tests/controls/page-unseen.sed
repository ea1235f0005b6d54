# file: broker/page/live.js
# test: e2e/test_dashboard unseen_it_asks_now_and_then
# A page that nobody sees holds no connection.
s/if \(!document\.hidden\) this\.#open\(\);/this.#open();/
