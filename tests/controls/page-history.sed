# file: broker/page/past.js
# test: e2e/test_dashboard opened_late_it_shows_what_was
# A page that was just opened shows what was.
s/^    this\.#take\(parts\);//
