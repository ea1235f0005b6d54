# file: trainer/events.c
# test: trainer/test_events files_are_few
# Lives beyond a bound go on in the newest file.
s/ \|\| e->files < EVENTS_FILES//;s/\(!e->newest\)/1/
