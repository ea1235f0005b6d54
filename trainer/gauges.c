#include "trainer/gauges.h"

const struct metric trainer_gauges[GAUGES] = {TRAINER_METRICS(METRIC_ROW)};
