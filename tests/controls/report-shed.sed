# file: proto/report.c
# test: broker/test_overview all_lives_count
# What earlier lives of a capture shed stays.
s/return isnan\(all\) \? report_number\(report, REPORT_CAPTURE_SHED_ROWS\) : all;/(void)all;\n    return report_number(report, REPORT_CAPTURE_SHED_ROWS);/
