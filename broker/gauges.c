#include "broker/gauges.h"

const char *const broker_drops[BROKER_DROPS] = {
    [ROUTES_KEPT] = NULL,
    [ROUTES_MALFORMED] = "malformed",
    [ROUTES_NO_SINK] = "no_sink",
    [ROUTES_NO_SESSION] = "no_session",
    [ROUTES_NO_CREDIT] = "no_credit",
    [ROUTES_NO_LINK] = "no_link",
    [ROUTES_TOO_SOON] = "too_soon",
    [ROUTES_REPEATED] = "repeated",
    [ROUTES_NOT_ALLOWED] = "not_allowed",
    [BROKER_FLOOD] = "flood",
    [BROKER_UNSENDABLE] = "unsendable",
};

const struct metric broker_gauges[GAUGES] = {BROKER_METRICS(METRIC_ROW)};
