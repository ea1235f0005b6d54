# file: broker/page/past.js
# test: e2e/test_dashboard clocks_may_differ
# What was is not read anew with each document, however much the clocks differ.
s/this\.skew = .* \? ahead/this.skew = Math.abs(ahead) > this.step + SKEW_SECONDS ? ahead/
