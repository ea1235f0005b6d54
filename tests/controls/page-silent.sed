# file: broker/page/live.js
# test: e2e/test_dashboard it_survives_the_broker
# A broker that is gone is told.
s/if \(!this\.is_silent\) this\.wires\.silent\(\);//
