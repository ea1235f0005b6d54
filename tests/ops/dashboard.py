"""Whether a dashboard is one that Grafana 9 and later take, as far as that can be told without it:
dashboard.py DASHBOARD RULES. The queries go to RULES, as recording rules that promtool checks."""
import json
import re
import sys

VARIABLES = {"datasource", "stream", "sae"}
LEAST_SCHEMA, COLUMNS = 37, 24  # Grafana 9.1
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What Grafana puts into a query before Prometheus sees it.
FILLED = {"$__rate_interval": "1m", "$stream": "s", "$sae": ".*"}

# A trainer that was killed goes on from what its checkpoint counted, which these take for all that was ever counted.
ALL_LIVES = re.compile(r"(rate|increase)\(sluice_trainer_(rows|steps|skipped_rows|skipped_steps)_total")


def need(condition, text):
    if not condition:
        sys.exit(text)


def overlap(a, b):
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def check_places(panels):
    for i, panel in enumerate(panels):
        place = panel["gridPos"]
        need(place["x"] + place["w"] <= COLUMNS, f"{panel['title']}: it is wider than the page")
        for other in panels[:i]:
            need(not overlap(place, other["gridPos"]), f"{panel['title']} lies on {other['title']}")


def check_panel(panel):
    """Its queries."""
    title = panel["title"]
    need(panel.get("description"), f"{title} has no description")
    need(panel["fieldConfig"]["defaults"].get("unit"), f"{title} has no unit")
    need(panel["datasource"] == SOURCE, f"{title}: another data source")
    need(panel["targets"], f"{title} has no query")
    references = [target["refId"] for target in panel["targets"]]
    need(len(set(references)) == len(references), f"{title}: two queries of one name")
    for target in panel["targets"]:
        need(target["datasource"] == SOURCE, f"{title}: another data source")
        need('stream="$stream"' in target["expr"], f"{title}: a query of all streams")
        need(not ALL_LIVES.search(target["expr"]), f"{title}: a query that leaps when a trainer is killed")
    return [target["expr"] for target in panel["targets"]]


def check_head(board):
    need(board["schemaVersion"] >= LEAST_SCHEMA, "an old schema")
    need(board["uid"] and board["title"], "no uid or no title")
    need("id" not in board and "__inputs" not in board, "it is of one installation")
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    need(set(variables) == VARIABLES, f"other variables: {sorted(variables)}")
    need(variables["datasource"]["type"] == "datasource", "the data source cannot be chosen")


def main(path, rules):
    with open(path, encoding="utf-8") as file:
        board = json.load(file)
    check_head(board)
    panels = board["panels"]
    need(len({panel["id"] for panel in panels}) == len(panels), "two panels of one id")
    check_places(panels)
    queries = [a["expr"] for a in board["annotations"]["list"]]
    for panel in panels:
        if panel["type"] != "row":
            queries += check_panel(panel)
    with open(rules, "w", encoding="utf-8") as file:
        file.write("groups:\n- name: dashboard\n  rules:\n")
        for number, query in enumerate(queries):
            for name, value in FILLED.items():
                query = query.replace(name, value)
            need("$" not in query, f"what is filled in there: {query}")
            file.write(f"  - record: query:{number}\n    expr: {json.dumps(query)}\n")


main(*sys.argv[1:])
