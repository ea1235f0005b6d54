"""Rules with one thing taken out: mutants.py RULES FOLDER writes FOLDER/N/alerts.yaml, and prints a line for
each: N, alert, what was done to it. A case of the alert must fail over each of them."""
import pathlib
import re
import sys

# Of each stream that is there; the cases of one alert are no streams.
ALWAYS = {"SluiceProcessMissing": "vector(1)"}
EACH_STREAM = 'group by (stream) ({stream!=""})'
OPERATOR = re.compile(r"(and|or|unless)\b")


def indent(line):
    return len(line) - len(line.lstrip())


def alerts(lines):
    """(name, first line of the expression, line behind it) of each alert."""
    for at, line in enumerate(lines):
        if not (found := re.match(r" +- alert: (\w+)$", line)):
            continue
        begin = next(i for i in range(at, len(lines)) if lines[i].lstrip().startswith("expr:"))
        end = next(i for i in range(begin, len(lines)) if lines[i].lstrip().startswith("for:"))
        yield found[1], begin, end


def clause_end(lines, begin, end):
    """Behind the operand of the operator that begins a line: its brackets are closed, and another
    operator or bracket follows."""
    depth = 0
    for at in range(begin, end):
        text = lines[at].strip()
        if at > begin and depth == 0 and indent(lines[at]) <= indent(lines[begin]):
            if OPERATOR.match(text) or text.startswith(")"):
                return at
        depth += text.count("(") - text.count(")")
    return end


def mutants(lines):
    for name, begin, end in alerts(lines):
        pad = " " * indent(lines[begin])
        yield name, "never fires", lines[:begin] + [pad + "expr: vector(1) > 2"] + lines[end:]
        if name != "SluiceWatchdog":
            always = f"{pad}expr: {ALWAYS.get(name, EACH_STREAM)}"
            yield name, "always fires", lines[:begin] + [always] + lines[end:]
        for at in range(begin + 1, end):
            if OPERATOR.match(lines[at].strip()):
                behind = clause_end(lines, at, end)
                gone = " ".join(line.strip() for line in lines[at:behind])
                yield name, f"without: {gone}", lines[:at] + lines[behind:]


def main(rules, folder):
    lines = pathlib.Path(rules).read_text().splitlines()
    for number, (name, what, mutant) in enumerate(mutants(lines)):
        place = pathlib.Path(folder, str(number))
        place.mkdir(parents=True)
        place.joinpath("alerts.yaml").write_text("\n".join(mutant) + "\n")
        print(number, name, what)


main(*sys.argv[1:])
