#include "sink/gauges.h"

const struct metric sink_gauges[GAUGES] = {SINK_METRICS(METRIC_ROW)};
