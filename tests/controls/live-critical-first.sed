# file: cli/live.c
# test: cli/test_live what_is_critical_is_always_named
# What is critical is named before warnings take the room.
s/for \(int is_warning = 0; is_warning < 2; is_warning\+\+\)/for (int is_warning = 1; is_warning >= 0; is_warning--)/
