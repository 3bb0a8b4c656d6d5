"""One page per sample: what a person looks at before a number is believed.

Every population of the template has a panel, in order, and a second block shows where the cells of
the primary measure lie in each plot on the way to them. A page is made in three steps that know
nothing of each other: `panels` turns a gated file into values (counts per bin, outlines, words),
`paint` puts ink on paper, `pages` says where. What a panel says is therefore tested as values.

Every event of a parent is in its panel: densities are counts per bin of all events, never a sample
of them, and what lies beyond the axes is counted into the bins at the border.
"""

from tregflow.plots.pages import page

__all__ = ["page"]
