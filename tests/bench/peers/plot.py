"""Pictures for docs/: lines with marks, as SVG."""
import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 9})
from matplotlib import pyplot

from common import ROOT


def lines(path, x_name, y_name, curves, log=False):
    """Of each name the points [x, y]; to a path in this repository."""
    figure, axes = pyplot.subplots(figsize=(6.4, 4))
    for name, points in curves.items():
        axes.plot(*zip(*points), marker="o", markersize=3, linewidth=1.2, label=name)
    if log:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(ROOT / path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
