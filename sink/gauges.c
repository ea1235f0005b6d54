#include "sink/gauges.h"

const char *const sink_policies[SINK_POLICIES] = {
    [CONFIG_BLOCK] = "block",
    [CONFIG_SHED] = "shed",
};

const struct metric sink_gauges[GAUGES] = {SINK_METRICS(METRIC_ROW)};
