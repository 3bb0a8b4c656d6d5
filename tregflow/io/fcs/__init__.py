"""FCS files: 2.0, 3.0, 3.1 and 3.2, list mode.

A file is read downwards: `packed` (gzip, where it is), `segments` (HEADER), `text` (keywords), `data_sets`
(both, for each data set), `layout` (types and channels), `spill` (spillover), `offsets` (where the events
are), `plausible` (whether they look like events), `reading` (all of it, in order).
"""

from tregflow.io.fcs.reading import Scan, read_fcs, scan_fcs

__all__ = ["Scan", "read_fcs", "scan_fcs"]
