# file: broker/page/page.css
# test: e2e/test_dashboard names_may_be_long
# A long name leaves room for the numbers beside it.
s/min-width: 9rem; white-space: normal; overflow-wrap: anywhere;//
