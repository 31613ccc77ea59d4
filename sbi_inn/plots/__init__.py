"""Figures from arrays and draws, in the sizes and colours of a paper.

What is common to all: they return a matplotlib Figure, of `width_mm` on paper (180 for a double
column, 85 for a single one), to be saved with ``.savefig("name.pdf")``. Where a user brings a
Figure or SubFigure (`fig=`), or Axes for a figure of one panel (`ax=`), they draw into it and
return the (sub)figure. Axes keep the user's own settings; matplotlib's are never changed.
"""
