#include "capture/gauges.h"

const struct metric capture_gauges[GAUGES] = {CAPTURE_METRICS(METRIC_ROW)};
