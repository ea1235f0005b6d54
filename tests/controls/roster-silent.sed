# file: cli/roster.c
# test: cli/test_live who_is_not_there_is_told
# A process that has gone silent is told, and not what it said last.
s/if \(age_seconds > REPORT_SILENT_SECONDS\) \{/if (0) {/
